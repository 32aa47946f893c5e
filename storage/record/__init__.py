"""The record: columns, values, canonical JSON, COPY tuples, streams, retention classes.

In: values of one record. Out: COPY tuples and their hashes. Of storage, imports only `database`
(streams are rows). The columns are the table COLUMNS in columns.py.
"""
