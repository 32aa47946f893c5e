"""One HTTP request: routes, headers, body, decompression, responses.

In: a socket. Out: a decoded body for the pipeline; a response in the sender's encoding.
Imports `admission` and `mapping`; never a decoder.
"""
