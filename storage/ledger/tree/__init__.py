"""The Merkle tree over entries (RFC 9162), its nodes in the database, its signed heads.

In: hashes of entries. Out: roots, inclusion proofs, heads. Imports nothing else of the ledger.
"""
