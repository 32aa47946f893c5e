"""Segments: the catalogue, rollover, leaves, reading back, rewriting, dropping.

In: classes and filters. Out: the open segment of a class; whole segments rewritten or dropped.
Imports `ledger`, `filtering`, `record`, `database`; never `writing`.
"""
