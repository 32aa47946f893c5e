"""Traces: one trace with its records, and the search for traces.

In: a Call. Out: JSON. Imports `http` and `records.querying`.
"""
