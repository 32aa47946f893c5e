"""The filter tree shared by searches, holds and purges.

In: a filter (filters.py). Out: the filter narrowed to a segment (prune.py), SQL (conditions.py),
JSON (filter_json.py). Imports `record` and `database`, never `segments`.
"""
