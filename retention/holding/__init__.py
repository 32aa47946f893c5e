"""Legal holds and what they match.

In: filters. Out: segments and rows that must be kept. Imports `policy` and below.
"""
