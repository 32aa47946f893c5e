"""Export -> RedactedExport: every text that a sender wrote passes the redactor here.

In: an Export. Out: a RedactedExport, limits of attributes applied.
Imports `memos` and `mapping`; never a decoder.
"""
