"""Settings, levels, permissions, errors, and what every process needs.

In: environment and settings files. Out: typed values. Imports no other package of opslog.
"""
