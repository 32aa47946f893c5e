"""The OTLP receiver: turns OTLP/HTTP requests into redacted, durable batches.

In: HTTP requests. Out: frames in the spool, and OTLP responses.
Imports `storage` and `config`; never `query`.
"""
