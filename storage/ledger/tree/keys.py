"""The key that signs heads, a file outside the database, and its rotation.

evidence.pem         Ed25519, PKCS 8, 0600
evidence.next.pem    exists between the entry that names it and the first head that it signs

A replaced key is overwritten: whoever steals the folder cannot sign earlier heads.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from storage.errors import EvidenceKeyWrong
from storage.ledger.tree.chain import rotation_statement
from storage.ledger.tree.notes import ED25519, key_hash, public_bytes, verifier_key

FILE, NEXT_FILE = "evidence.pem", "evidence.next.pem"


@dataclass(frozen=True, slots=True)
class EvidenceKeys:
    """The signing key of one installation; `folder` holds its evidence.pem."""

    folder: Path

    def current(self) -> Ed25519PrivateKey:
        """The key in evidence.pem.

        Raises:
            EvidenceKeyWrong: it is missing or not an Ed25519 key.
        """
        return _load(self.folder / FILE)

    def signer(self, public: bytes) -> Ed25519PrivateKey:
        """The private key of `public`; a matching next key replaces the current one now.

        Raises:
            EvidenceKeyWrong: neither key matches.
        """
        key = self.current()
        if public_bytes(key) == public:
            return key
        following = self.folder / NEXT_FILE
        if following.exists():
            key = _load(following)
            if public_bytes(key) == public:
                _overwrite(self.folder / FILE)
                following.replace(self.folder / FILE)
                return key
        raise EvidenceKeyWrong(
            f"{self.folder / FILE} does not match the ledger: restore the file that belongs to "
            "this database"
        )

    def make_next(self, origin: str) -> dict[str, object]:
        """Generate the next key; returns the body of its key_rotate entry."""
        old, new = self.current(), Ed25519PrivateKey.generate()
        pem = new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self.folder / NEXT_FILE
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        names = [verifier_key(origin, public_bytes(key)) for key in (old, new)]
        message = rotation_statement(origin, *names)
        return {
            "old": names[0],
            "new": names[1],
            "signature_old": base64.b64encode(old.sign(message)).decode(),
            "signature_new": base64.b64encode(new.sign(message)).decode(),
        }


def followed_by(origin: str, public: bytes, body: dict[str, str]) -> bytes | None:
    """The public key after a key_rotate entry; None when the entry is not signed by both."""
    if body["old"] != verifier_key(origin, public):
        return None
    message = rotation_statement(origin, body["old"], body["new"])
    try:
        new = public_of(body["new"])
        Ed25519PublicKey.from_public_bytes(public).verify(
            base64.b64decode(body["signature_old"]), message
        )
        Ed25519PublicKey.from_public_bytes(new).verify(
            base64.b64decode(body["signature_new"]), message
        )
    except (InvalidSignature, ValueError):
        return None
    return new


def public_of(shown: str) -> bytes:
    """The 32 bytes of a public key in the form NAME+HASH+KEY.

    Raises:
        ValueError: it is not one, or its hash does not match.
    """
    name, hashed, encoded = shown.split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    if raw[:1] != ED25519 or len(raw) != 33 or key_hash(name, raw[1:]).hex() != hashed:
        raise ValueError("not an Ed25519 key in the form NAME+HASH+KEY")
    return raw[1:]


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise EvidenceKeyWrong(f"cannot read the key {path}: {error.strerror}") from error
    except ValueError as error:
        raise EvidenceKeyWrong(f"{path} does not contain a key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise EvidenceKeyWrong(f"{path} does not contain an Ed25519 key")
    return key


def _overwrite(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(os.urandom(size))
        file.flush()
        os.fsync(file.fileno())
