"""The operating system's side: programs, their launcher, locks.

Imports no other part of opslog.
"""
