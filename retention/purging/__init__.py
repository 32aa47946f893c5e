"""Purge: preview, confirmation, scope, execution.

In: a filter and a reason. Out: segments without the purged rows, and the proof.
Imports `expiry` and below.
"""
