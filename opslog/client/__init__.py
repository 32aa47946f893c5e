"""The API as commands use it: HTTP client, profiles, records as lines, demo traffic.

In: an address and a token. Out: responses and printable lines. Imports `installation`.
"""
