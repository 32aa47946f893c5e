"""Commands that set up or check an installation: config, migrate, doctor, keys, token, demo."""
