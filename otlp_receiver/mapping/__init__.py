"""RedactedExport -> records: OTLP fields to the columns of SystemLog (docs/mapping.md).

In: redacted logs and spans. Out: a RedactedBatch. Pure; imports `export` and `tally` only.
"""
