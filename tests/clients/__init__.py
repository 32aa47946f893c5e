"""Real clients against the running product: what they sent is what the API answers, every field."""
