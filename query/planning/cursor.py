"""Page cursors: opaque, signed, valid for one query only.

A cursor contains the key of the last record, and the time range as resolved for the first page:
`-1h` and the default end (now) must not move between pages. The signature covers the digest of
the query, so cursors of other queries or installations are rejected.
"""

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass

from config.errors import BadInput
from query.planning.compile import Key

_VERSION = 1
_TAG_BYTES = 16
# version, created_us, created_ns, batch_id, position, id, start_ns and end_ns as 128-bit numbers:
# nanoseconds of the years 1 to 9999 do not fit into 64 bits.
_LAYOUT = struct.Struct(">BqHqi16s16s16s")
_OPEN = -(2**127)
_MAX_LENGTH = 4 * (_LAYOUT.size + _TAG_BYTES) // 3 + 4


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next page starts."""

    after: Key
    start_ns: int | None
    end_ns: int | None


class Cursors:
    """Creates and verifies cursors with the installation's cursor key."""

    def __init__(self, key: bytes) -> None:
        # Derive a separate key, so that the secret can be used for other purposes too.
        self._key = hmac.digest(key, b"opslog page cursor", hashlib.sha256)

    def seal(self, position: Position, digest: bytes) -> str:
        """The cursor after a page of the query with this digest."""
        key = position.after
        body = _LAYOUT.pack(
            *(_VERSION, key.created_us, key.created_ns, key.batch_id, key.position, key.id),
            *(_number(position.start_ns), _number(position.end_ns)),
        )
        return urlsafe_b64encode(body + self._tag(body, digest)).decode().rstrip("=")

    def open(self, text: str, digest: bytes) -> Position:
        """The position in a cursor. Raises BadInput unless `seal` created it for `digest`."""
        raw = _decoded(text)
        body, tag = raw[: _LAYOUT.size], raw[_LAYOUT.size :]
        if len(body) != _LAYOUT.size or not hmac.compare_digest(tag, self._tag(body, digest)):
            raise _refused()
        version, created_us, created_ns, batch_id, position, id_, start, end = _LAYOUT.unpack(body)
        if version != _VERSION:
            raise _refused()
        return Position(
            Key(created_us, created_ns, batch_id, position, id_), _bound(start), _bound(end)
        )

    def _tag(self, body: bytes, digest: bytes) -> bytes:
        return hmac.digest(self._key, digest + body, hashlib.sha256)[:_TAG_BYTES]


def _decoded(text: str) -> bytes:
    if len(text) > _MAX_LENGTH or not text.isascii():
        raise _refused()
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except Base64Error as error:
        raise _refused() from error
    # Reject non-canonical Base64.
    if urlsafe_b64encode(raw).decode().rstrip("=") != text:
        raise _refused()
    return raw


def _number(bound_ns: int | None) -> bytes:
    return (_OPEN if bound_ns is None else bound_ns).to_bytes(16, "big", signed=True)


def _bound(raw: bytes) -> int | None:
    number = int.from_bytes(raw, "big", signed=True)
    return None if number == _OPEN else number


def _refused() -> BadInput:
    return BadInput(
        "The cursor does not belong to this query. Start again without it", where="cursor"
    )
