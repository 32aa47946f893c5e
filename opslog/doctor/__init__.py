"""Checks of machine, database and exposure; each finding has a reason and a fix.

In: an Installation. Out: findings. Changes nothing.
"""
