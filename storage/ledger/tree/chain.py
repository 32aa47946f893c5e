"""The bytes of an entry that are hashed. Pure. verify.py has the same, by itself."""

from storage.ledger.tree.merkle import leaf_hash

NO_ENTRY = bytes(32)
"""Stands for the hash of the entry before the first one."""


def entry_bytes(seq: int, before: bytes, made_us: int, kind: str, body: str) -> bytes:
    """Entry `seq` of the ledger; `before` is the hash of the one before it."""
    head = f"opslog ledger entry 1\n{seq}\n{before.hex()}\n{made_us}\n{kind}\n"
    return head.encode() + body.encode()


def entry_hash(seq: int, before: bytes, made_us: int, kind: str, body: str) -> bytes:
    """Its hash: link of the chain and leaf of the tree."""
    return leaf_hash(entry_bytes(seq, before, made_us, kind, body))


def rotation_statement(origin: str, old: str, new: str) -> bytes:
    """What both keys sign when one follows the other."""
    return f"opslog key rotation 1\n{origin}\n{old}\n{new}\n".encode()
