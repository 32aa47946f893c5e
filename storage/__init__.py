"""Records on their way to disk and back: record, redaction, spool, PostgreSQL, segments, ledger.

In: redacted batches, filters, keys. Out: durable frames, stored rows, segments, proofs.
Knows nothing of HTTP, OTLP or users; imports only `config`. A change of a column changes
record/columns.py, adds a migration and updates schema.sql; tests/consistency/test_columns.py
checks that the three agree.
"""
