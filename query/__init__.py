"""Records out: search, traces, statistics and exports over HTTP, for those who may read them.

In: HTTP requests with a token. Out: JSON, streams, the viewer; an audit record for each access.
Knows nothing of OTLP; reads through storage/database/read.py and builds SQL only in modules whose
docstring says so, from the conditions of storage/filtering/conditions.py.
"""
