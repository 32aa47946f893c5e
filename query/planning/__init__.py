"""Query planning: which segments, in which order, by which SQL statement.

In: a Filter, order, limit, cursor. Out: pages, counts, streams of rows.
Imports `language` and `auth`; never the API.
"""
