"""The hashed bytes of an entry. Pure. verify.py has its own copy."""

from storage.ledger.tree.merkle import leaf_hash

NO_ENTRY = bytes(32)
"""Used as the previous hash of the first entry."""


def entry_bytes(seq: int, before: bytes, created_us: int, kind: str, body: str) -> bytes:
    """Entry `seq` of the ledger; `before` is the hash of the previous entry."""
    head = f"opslog ledger entry 1\n{seq}\n{before.hex()}\n{created_us}\n{kind}\n"
    return head.encode() + body.encode()


def entry_hash(seq: int, before: bytes, created_us: int, kind: str, body: str) -> bytes:
    """Its hash: link of the chain and leaf of the tree."""
    return leaf_hash(entry_bytes(seq, before, created_us, kind, body))


def rotation_statement(origin: str, old: str, new: str) -> bytes:
    """The message that both keys sign in a rotation."""
    return f"opslog key rotation 1\n{origin}\n{old}\n{new}\n".encode()
