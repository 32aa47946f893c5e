"""Signed heads: C2SP tlog-checkpoint in C2SP signed-note form, Ed25519. Pure but for the key.

opslog/3f2c…            origin: the name of this ledger
4711                    entries
cXb0…=                  root over them, base64
time 1764234567890123   microseconds since 1970 (an extension line)

— opslog/3f2c… kQ2b…=   one line per signature: first 4 bytes of the key's hash, then 64 of it
"""

import base64
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ED25519 = b"\x01"
"""Algorithm byte of C2SP signed-note."""


@dataclass(frozen=True, slots=True)
class Head:
    """The contents of a checkpoint."""

    origin: str
    size: int
    root: bytes
    created_us: int


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of the public key."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_hash(name: str, public: bytes) -> bytes:
    """The four bytes that identify the key in a signature line."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """The public key as text (C2SP vkey): name, hash, algorithm and key."""
    shown = base64.b64encode(ED25519 + public).decode()
    return f"{name}+{key_hash(name, public).hex()}+{shown}"


def sign(head: Head, key: Ed25519PrivateKey) -> str:
    """The signed note of a head."""
    root = base64.b64encode(head.root).decode()
    text = f"{head.origin}\n{head.size}\n{root}\ntime {head.created_us}\n"
    signed = key_hash(head.origin, public_bytes(key)) + key.sign(text.encode())
    return f"{text}\n\N{EM DASH} {head.origin} {base64.b64encode(signed).decode()}\n"


def read(note: str) -> Head:
    """Parse a note without verifying its signature.

    Raises:
        ValueError: it is not an opslog note.
    """
    origin, size, root, time, *_ = note.split("\n")
    name, _, created = time.partition(" ")
    if name != "time":
        raise ValueError("the note has no time")
    return Head(origin, int(size), base64.b64decode(root, validate=True), int(created))
