"""Converts COPY tuples to columns and back without loss."""
