"""Retention for people: forecast, history, status, metrics. Only reads.

In: the catalogue and the record of runs. Out: what is due, what was done, what is late.
"""
