"""One module for each kind of place in which a secret stands: headers, pairs, URIs, PEM.

In: text and the trigger that was seen. Out: spans to hide. table.py maps rules to finders.
Imports `recognition` and the rules, never the redactor.
"""
