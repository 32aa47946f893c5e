"""One module for each column or group of columns, with its rule. Pure.

In: attributes and fields of a record. Out: the value of a column and the name of the rule.
Imports nothing of `mapping` outside this package.
"""
