"""The query server: search, traces, statistics and exports over HTTP, with access control.

In: HTTP requests with a token. Out: JSON, streams, the viewer; an audit record for each access.
Knows nothing of OTLP; reads through storage/database/read.py and builds SQL only in query/planning
and query/live, from the conditions of storage/filtering/conditions.py.
"""
