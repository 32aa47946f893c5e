"""Builds each process from settings: the only place where the packages meet.

In: an Installation. Out: a running receiver, query server, worker or scheduler.
Imports `client` and below; the command line imports it.
"""
