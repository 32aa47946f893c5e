"""HTTP: routes, headers, body, decompression, responses.

In: a socket. Out: a decompressed body for the pipeline; a response in the request's encoding.
Imports `admission` and `mapping`; never a decoder.
"""
