"""Segments: the catalogue, rollover, leaves, dropping.

In: classes and filters. Out: the open segment of a class; whole segments dropped.
Imports `ledger`, `filtering`, `record`, `database`; never `writing`.
"""
