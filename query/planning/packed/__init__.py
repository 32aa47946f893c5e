"""Queries over packs: the rows, counts and batches that SQL gives for leaves, from files.

In: packed segments with their filters. Out: rows with the values of query/planning/compile.py.
Scans run in threads, in slices of some milliseconds (reading.py). Imports `compile` of planning.
"""
