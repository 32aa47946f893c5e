"""Rows as JSON, CSV, NDJSON and OTLP, without parsing the metadata.

In: rows of system_logs. Out: bytes. Imports only `errors` of query.
"""
