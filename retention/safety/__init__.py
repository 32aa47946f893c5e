"""Whether a job may run at all: the clock, advisory locks, the load of ingest.

Imports nothing of retention.
"""
