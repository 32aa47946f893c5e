"""Settings from environment, file and defaults; unknown names are errors."""
