"""The API client of the commands: HTTP, profiles, records as lines, demo traffic.

In: an address and a token. Out: responses and printable lines. Imports `installation`.
"""
