"""Finders: one module per syntax in which secrets occur, such as headers, pairs, URIs, PEM.

In: a text. Out: spans to redact. table.py maps rules to finders and their triggers.
Imports `recognition` and the rules, never the redactor.
"""
