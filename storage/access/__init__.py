"""Ingest keys and ended sessions; only hashes of keys and tokens are stored.

In: key names, permissions, logouts. Out: keys to authenticate senders, ended sessions.
Imports `record` and `database` only.
"""
