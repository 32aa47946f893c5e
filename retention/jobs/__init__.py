"""RQ: the queue, the schedule, the worker, and the maintenance job.

In: names of jobs from Redis. Out: one run at a time. Imports everything in retention.
"""
