"""How OpenTelemetry becomes a record: one rule per file, pure, each with its source.

Whoever changes a rule changes docs/mapping.md and its table in tests/unit/otlp_receiver.
"""
