"""Conditions for running a job: a trusted clock, advisory locks, the ingest load.

Imports nothing of retention.
"""
