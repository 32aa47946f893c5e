"""Telemetry in: OTLP/HTTP requests become redacted, durable batches.

In: HTTP requests. Out: frames in the spool, and OTLP responses.
Imports `storage` and `config`; knows nothing of queries.
"""
