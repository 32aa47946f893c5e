"""Finding secrets in text and replacing them, before anything is written.

In: texts and attributes. Out: the same without secrets, and which rules matched.
Imports only `record`. The rules are config/rules/*.toml.
"""
