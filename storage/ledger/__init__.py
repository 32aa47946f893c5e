"""The signed ledger: entries, sequencing, proofs, exports, the stand-alone verifier.

In: entries of the writer and of retention, in the transaction that they describe. Out: signed heads
and proofs. Imports `spool`, `record`, `database`; verify.py imports nothing of opslog.
"""
