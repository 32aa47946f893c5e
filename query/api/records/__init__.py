"""Groups of routes that read records: search, traces, statistics, live tail, export.

In: a Call. Out: pages and streams of records. Imports `http`; no other groups.
"""
