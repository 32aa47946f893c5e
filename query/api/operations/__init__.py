"""Groups of routes for operators: retention, holds, purge, ingest, evidence, keys, redaction.

In: a Call. Out: JSON about the installation. Imports `http` and `records.querying`.
"""
