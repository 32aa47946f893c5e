"""Real clients against a running opslog: the API returns every field that they sent."""
