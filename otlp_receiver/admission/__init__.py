"""Admission control: ingest keys, rate limits, memory budget, decode queue, poison payloads.

In: a request's key, size and body. Out: a lease, or an error with Retry-After.
Imports only `errors` of the receiver.
"""
