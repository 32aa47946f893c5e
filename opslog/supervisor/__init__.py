"""`opslog up`: processes started in order, restarted with back-off, shut down cleanly.

In: an Installation. Out: running processes. Imports `wiring` and below.
"""
