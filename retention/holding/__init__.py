"""Legal holds and what they match.

In: filters. Out: segments and rows that must stay. Imports `policy` and below.
"""
