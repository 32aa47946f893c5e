"""A file of the hashed ingest keys, so that receivers can authenticate senders without PostgreSQL.

The file holds no key, only SHA-256 hashes; still, only its owner may read it. A change of the
format increments VERSION: a file of an unknown version is ignored.
"""

import logging
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from config.levels import Level
from storage.access.ingest_keys import HashedKey, KeyTerms

VERSION = 1

_log = logging.getLogger(__name__)


def write_snapshot(path: Path, keys: list[HashedKey]) -> None:
    """Replace the file atomically. Errors are only logged, since the file is a cache."""
    body = orjson.dumps({"version": VERSION, "keys": [_plain(key) for key in keys]})
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        _log.warning("cannot write the snapshot of ingest keys: %s", error.strerror)
        with suppress(OSError):
            new.unlink()


def read_snapshot(path: Path) -> list[HashedKey] | None:
    """The keys of the last run; None when there is no readable file."""
    try:
        found = orjson.loads(path.read_bytes())
        if found["version"] != VERSION:
            return None
        return [_key(entry) for entry in found["keys"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("cannot read the snapshot of ingest keys: %s", type(error).__name__)
        return None


def _plain(key: HashedKey) -> dict[str, object]:
    terms = key.terms
    return {
        "id": key.id,
        "name": key.name,
        "digest": key.digest.hex(),
        "revoked_at": key.revoked_at,
        "rights": terms.rights,
        "attributes": dict(terms.attributes),
        "min_level": None if terms.min_level is None else terms.min_level.name,
        "expires_at": terms.expires_at,
        "records_per_s": terms.records_per_s,
        "bytes_per_s": terms.bytes_per_s,
    }


def _key(entry: dict[str, Any]) -> HashedKey:
    level = entry["min_level"]
    terms = KeyTerms(
        rights=tuple(entry["rights"]),
        attributes=entry["attributes"],
        min_level=None if level is None else Level[level],
        expires_at=_time(entry["expires_at"]),
        records_per_s=entry["records_per_s"],
        bytes_per_s=entry["bytes_per_s"],
    )
    return HashedKey(
        id=entry["id"],
        name=entry["name"],
        digest=bytes.fromhex(entry["digest"]),
        terms=terms,
        revoked_at=_time(entry["revoked_at"]),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
