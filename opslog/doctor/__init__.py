"""Checks of machine, database and exposure; each finding says what, why, how to fix.

In: an Installation. Out: findings. Changes nothing.
"""
