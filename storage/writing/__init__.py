"""Writing frames as rows: claim, COPY, accounting, dead letters, release.

In: frames of the spool. Out: committed transactions, each batch once.
May import all of storage except `metrics`; no other part of storage imports it.
"""
