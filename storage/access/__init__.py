"""Ingest keys and ended sessions, stored as hashes.

In: key names, rights, tokens to end. Out: keys to check senders with.
Imports `record` and `database`.
"""
