"""The live tail: one read of the store per notification, shared by all clients.

In: notifications of stored batches, filters. Out: records as they are stored.
Imports `planning` and `render`; never the API.
"""
