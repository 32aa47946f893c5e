"""The HTTP API: routes, access control, handlers, models, the viewer.

In: requests. Out: responses and RFC 9457 problems. A group of routes is one module with its
handlers, its models and its rows of the route table; app.py puts them together.
"""
