"""The one door to the disk: the record, redaction, the spool, PostgreSQL.

Knows nothing of HTTP, OTLP or users. Whoever changes a column changes columns.py, adds a
migration and schema.sql together; tests/house/test_columns.py holds the three equal.
"""
