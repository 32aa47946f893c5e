"""The operating system: programs, their launcher, locks.

Imports no other part of opslog.
"""
