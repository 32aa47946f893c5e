"""Summaries computed from rows: the tree of a trace, patterns of messages. Pure.

In: rows. Out: summaries. Imports nothing of query.
"""
