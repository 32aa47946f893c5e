"""What was received and what became of it, by minute, key and module; must balance.

In: frames and their outcome. Out: rows of ingest_minutes, balances, checks.
Imports nothing of the ledger's other packages.
"""
