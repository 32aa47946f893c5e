"""Expiry by age and by the size limit.

In: a plan. Out: segments dropped, held rows carried over. Imports `segments` and below.
"""
