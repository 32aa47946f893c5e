"""Is this text a secret? Shapes, key names, checksums, randomness, and what is known as harmless.

In: a candidate text. Out: yes or no, or where its value ends. Imports no other part of redaction.
"""
