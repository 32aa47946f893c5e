"""Generates docs/reference from settings and errors (`make docs`)."""
