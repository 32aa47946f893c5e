"""From frames to rows: claim, COPY, accounts, dead letters, release.

In: frames of the spool. Out: committed transactions, each batch once.
Imports everything in storage except `metrics`.
"""
