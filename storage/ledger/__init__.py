"""The signed ledger: entries, their order, proofs, exports, the stand-alone verifier.

In: what the writer and retention did, in the same transaction. Out: signed heads and proofs.
Imports `spool`, `record`, `database`; verify.py imports nothing of opslog.
"""
