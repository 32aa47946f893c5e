"""Acknowledged requests on disk until they are in PostgreSQL: frames, files, group commit.

In: a redacted batch. Out: a frame that survives kill -9; replay after a restart.
Imports `record`; never a database connection.
"""
