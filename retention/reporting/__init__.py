"""Reports on retention: forecast, history, status, metrics. Read-only.

In: the catalogue and the record of runs. Out: what is due, what was done, what is overdue.
"""
