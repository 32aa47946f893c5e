"""The query language: text -> filter tree (docs/query-language.md). Pure.

In: the text of `q`, request parameters. Out: a Filter, or BadQuery with a position.
Imports only `errors` of query.
"""
