"""The filter tree that searches, holds and purges share.

In: a filter (filters.py). Out: what a segment's catalogue row decides of it (prune.py), SQL
(conditions.py), JSON (filter_json.py). Imports `record` and `database`, never segments.
"""
