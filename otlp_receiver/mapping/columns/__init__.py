"""One module per column or group of columns, with its rule. Pure.

In: attributes and fields of a record. Out: the value of a column and its source.
Imports nothing of `mapping` outside this package.
"""
