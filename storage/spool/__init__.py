"""Accepted requests on disk until PostgreSQL has them: frame, group commit, recovery."""
