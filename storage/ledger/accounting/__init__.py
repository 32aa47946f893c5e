"""Accounting of received records by minute, key and module, which must balance.

In: frames and their outcome. Out: rows of ingest_minutes, balances, checks.
Imports no other part of the ledger.
"""
