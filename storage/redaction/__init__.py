"""Redaction: finds secrets in text and replaces them, before anything is written.

In: texts and attributes. Out: the same without secrets, and the rules that matched.
Of storage, imports only `record`. The rules are config/rules/*.toml.
"""
