"""The keys of one installation: created on first use, 0600, atomically.

Concurrent processes all get the same key. The nodes of a cluster may share the folder (setting
secrets_dir), so that they sign and hash with the same keys.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import SetupError
from opslog.embedded.server import make_folder, sync_folder

_JWT_BITS = 2048
_KEY_BYTES = 32
_HMAC_ID_BYTES = 3


@dataclass(frozen=True, slots=True)
class HmacSecrets:
    """Keys of keyed tokens by id, which each token contains; new tokens use `current`."""

    current: str
    keys: dict[str, bytes] = field(repr=False)


class SecretFiles:
    """A folder with one file per secret."""

    def __init__(self, folder: Path) -> None:
        """The folder is created on first use, 0700; its parent must exist."""
        self.folder = folder

    def postgres_password(self) -> str:
        """Of the bundled PostgreSQL's superuser; letters, digits, `-` and `_`."""
        return self._load_or_create("postgres.password", _password).decode().strip()

    def valkey_password(self) -> str:
        """Of the bundled Valkey; letters, digits, `-` and `_`."""
        return self._load_or_create("valkey.password", _password).decode().strip()

    def jwt_private_key(self) -> bytes:
        """PEM of the RSA key that signs tokens."""
        return self._load_or_create("jwt-private.pem", _rsa_key)

    def jwt_public_key(self) -> bytes:
        """PEM of the RSA key that verifies tokens; derived from the private key.

        A node that only verifies tokens needs this file alone.
        """
        path = self.folder / "jwt-public.pem"
        if path.exists() and not (self.folder / "jwt-private.pem").exists():
            return _read(path)
        private = self.jwt_private_key()
        return self._load_or_create("jwt-public.pem", lambda: _public_of(private))

    def jwt_key_id(self) -> str:
        """`kid` of tokens: the first 16 hex digits of the SHA-256 of the public key's DER."""
        return key_id(self.jwt_public_key())

    def evidence_key(self) -> bytes:
        """PEM of the Ed25519 key that signs the ledger (storage/ledger/tree/keys.py)."""
        return self._load_or_create("evidence.pem", _ed25519_key)

    def cursor_key(self) -> bytes:
        """32 bytes that sign page cursors."""
        return self._load_or_create("cursor.key", _key)

    def hmac(self) -> HmacSecrets:
        """All keys of keyed tokens; the first one is created if there is none.

        Files are named `<number>-<id>`; the highest number is current. Adding a file rotates the
        key, and old tokens can still be recognised.
        """
        self._make_folder()
        folder = self.folder / "hmac"
        make_folder(folder, owner=None)
        if not _hmac_files(folder):
            name = f"1-{secrets.token_hex(_HMAC_ID_BYTES)}"
            lock = _Once(folder / ".first")
            first = lock.take(name.encode()).decode()
            _Once(folder / first).take(_key())
        files = _hmac_files(folder)
        keys = {path.name.partition("-")[2]: _read(path) for path in files}
        return HmacSecrets(current=files[-1].name.partition("-")[2], keys=keys)

    def _load_or_create(self, name: str, make: Callable[[], bytes]) -> bytes:
        self._make_folder()
        path = self.folder / name
        if path.exists():
            return _read(path)
        return _Once(path).take(make())

    def _make_folder(self) -> None:
        make_folder(self.folder, owner=None)


def key_id(public_pem: bytes) -> str:
    """The id of an RSA public key (PEM), derived from the key alone."""
    from hashlib import sha256  # noqa: PLC0415 - with cryptography, only when needed

    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    der = serialization.load_pem_public_key(public_pem).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return sha256(der).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Once:
    """A file that the first process writes and all others read."""

    path: Path

    def take(self, content: bytes) -> bytes:
        """Write the content unless the file exists; returns the file's content."""
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                self.path.hardlink_to(fresh)  # unlike rename, fails if the file exists
            except FileExistsError:
                return _read(self.path)
        finally:
            fresh.unlink(missing_ok=True)
        sync_folder(self.path.parent)
        return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"cannot read the key {path}: {error.strerror}") from error


def _hmac_files(folder: Path) -> list[Path]:
    """Oldest first."""
    named = [path for path in folder.iterdir() if path.name.partition("-")[0].isdigit()]
    return sorted(named, key=lambda path: int(path.name.partition("-")[0]))


def _password() -> bytes:
    return secrets.token_urlsafe(_KEY_BYTES).encode() + b"\n"


def _key() -> bytes:
    return secrets.token_bytes(_KEY_BYTES)


def _rsa_key() -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - 100 ms
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    return rsa.generate_private_key(public_exponent=65537, key_size=_JWT_BITS).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _ed25519_key() -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - 100 ms
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public_of(private_pem: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - 100 ms

    key = serialization.load_pem_private_key(private_pem, password=None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
