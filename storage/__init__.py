"""The storage layer: record, redaction, spool, PostgreSQL, segments, ledger.

In: redacted batches, filters, keys. Out: durable frames, stored rows, segments, proofs.
Independent of HTTP, OTLP and users; imports only `config`. To change a column, edit
record/columns.py, add a migration and update schema.sql; tests/consistency/test_columns.py checks
that the three agree.
"""
