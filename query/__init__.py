"""Answers out: search, traces and exports over HTTP, to those who may ask.

Knows nothing of OTLP; reads through storage/read.py and builds SQL only in files that say so
at their head, out of the conditions of storage/conditions.py.
"""
