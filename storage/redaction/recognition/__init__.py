"""Recognition of secrets: shapes, key names, checksums, randomness, known harmless values.

In: a candidate text or name. Out: whether it is a secret, or where its value ends.
Imports no other part of redaction.
"""
