"""RQ: the queue, the schedule, the worker, and the maintenance job.

In: job names from Redis. Out: one run at a time. May import all of retention.
"""
