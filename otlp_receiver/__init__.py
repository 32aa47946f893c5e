"""Telemetry in: OTLP/HTTP requests become redacted, durable batches.

The way of a record is on one screen in pipeline.py; knows nothing of the query side.
"""
