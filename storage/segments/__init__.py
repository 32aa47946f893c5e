"""Segments: the catalogue, rolling over, leaves, reading back, rewriting, dropping.

In: classes and filters. Out: the segment a row belongs to, and whole segments rewritten or dropped.
Imports `ledger`, `filtering`, `record`, `database`; never the writer.
"""
