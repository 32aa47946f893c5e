"""Query planning: which segments, in which order, by which SQL statement or from which pack.

    pages, counting, export     rows of leaves (compile.py) and of packs (packed/), merged by key

In: a Filter, order, limit, cursor. Out: pages, counts, streams of rows.
Imports `language` and `auth`; never the API.
"""
