"""What all routes share: server, middleware, access control, compression, problems, models.

In: a request. Out: a Call for the handler, and its response. Imports no group of routes.
"""
