"""Tokens, sessions, row scope, and the audit of each access.

In: an Authorization header or cookie. Out: a Principal and the filter that limits it.
Imports `language`; never the API.
"""
