"""Export -> RedactedExport: every text from a sender passes the redactor here.

In: an Export. Out: a RedactedExport, with the attribute limits applied.
Imports `memos` and `mapping`; never a decoder.
"""
