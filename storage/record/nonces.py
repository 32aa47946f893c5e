"""Nonces of encoding version 2: derived from a secret of the batch instead of stored with each row.

    class key = HMAC-SHA-256(secret of the batch, class name as UTF-8)
    pair      = HMAC-SHA-256(class key, position // 2 as 4 bytes, big-endian)
    nonce     = pair[:16] of an even position, pair[16:] of an odd one

The stored tuple has NULL in place of the nonce; the leaf hash covers the tuple with the nonce
filled in. A row that is exported with its nonce is therefore verified without any secret, exactly
as a row of version 1. When a row is purged, the secret of its batch is deleted; the keys of the
batch's other classes are stored in its place. opslog_row_nonces (storage/schema.sql) computes the
same in SQL.
"""

import hashlib
import hmac
import struct

try:  # half the cost of hashlib's for inputs this short
    from _sha2 import sha256 as _sha256  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    try:
        from _sha256 import sha256 as _sha256  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from hashlib import sha256 as _sha256

NONCE_BYTES = 16
SECRET_BYTES = 16
_BLOCK = 64
_RECENT = 4096
"""Batches whose hash states are remembered: rows of a pack are in order of time."""
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_NULL = b"\xff\xff\xff\xff"
_LENGTH = struct.pack(">i", NONCE_BYTES)
_BATCH_AT = 30
"""Offset of batch_id's value: after the field count, two times of twelve bytes, its length."""
_DURATION_AT = 50
"""Offset of duration_ns's length, after batch_id and stream_id."""

_pack_position = struct.Struct(">i").pack
_length = struct.Struct(">i").unpack_from
_int8 = struct.Struct(">q").unpack_from


def class_key(secret: bytes, class_name: str) -> bytes:
    """The key of the rows of one class in the batch with this secret."""
    return hmac.digest(secret, class_name.encode(), "sha256")


def pads_of(key: bytes) -> tuple[bytes, bytes]:
    """The inner and the outer block of HMAC, for computing nonces in SQL."""
    block = key.ljust(_BLOCK, b"\0")
    return block.translate(_INNER), block.translate(_OUTER)


class Nonces:
    """The nonces of one class of one batch. The hash states of both blocks are computed once."""

    __slots__ = ("_digest", "_inner", "_outer", "_pair")

    def __init__(self, key: bytes) -> None:
        self._pair: int = -1
        self._digest = b""
        inner, outer = pads_of(key)
        self._inner = _sha256(inner)
        self._outer = _sha256(outer)

    def of(self, position: int) -> bytes:
        """The nonce of the row at this position."""
        pair = position >> 1
        if pair != self._pair:
            inner = self._inner.copy()
            inner.update(_pack_position(pair))
            outer = self._outer.copy()
            outer.update(inner.digest())
            self._digest = outer.digest()
            self._pair = pair
        return self._digest[NONCE_BYTES:] if position & 1 else self._digest[:NONCE_BYTES]


def has_nonce(row: bytes) -> bool:
    """Whether a tuple has its nonce."""
    at = nonce_at(row)
    return row[at : at + 4] != _NULL


def with_nonce(row: bytes, nonce: bytes) -> bytes:
    """A tuple without nonce, with this one filled in; a tuple that has one is returned as it is."""
    at = nonce_at(row)
    if row[at : at + 4] != _NULL:
        return row
    return row[:at] + _LENGTH + nonce + row[at + 4 :]


def fill(row: bytes, nonces: Nonces) -> bytes:
    """A tuple without nonce, with the derived one filled in; one that has a nonce as it is."""
    at = nonce_at(row)
    if row[at : at + 4] != _NULL:
        return row
    return row[:at] + _LENGTH + nonces.of(position_of(row)) + row[at + 4 :]


class Completer:
    """Fills in the nonces of rows of many batches, whose class keys are given by batch id."""

    __slots__ = ("_recent", "keys")

    def __init__(self, keys: dict[int, bytes]) -> None:
        self.keys = keys
        self._recent: dict[int, Nonces] = {}

    def nonce(self, batch_id: int, position: int) -> bytes | None:
        """The nonce of a row; None if the batch has no key."""
        nonces = self._nonces(batch_id)
        return None if nonces is None else nonces.of(position)

    def each(self, batch_ids: list[int], positions: list[int]) -> list[bytes | None]:
        """The nonces of rows; None where a batch has no key."""
        found: list[bytes | None] = []
        last: int = -1
        nonces: Nonces | None = None
        for batch_id, position in zip(batch_ids, positions, strict=True):
            if nonces is None or batch_id != last:
                nonces = self._nonces(batch_id)
                last = batch_id
            found.append(None if nonces is None else nonces.of(position))
        return found

    def completed(self, row: bytes) -> bytes:
        """A tuple with its nonce.

        Without the key of its batch it is returned as it is; its hash then matches nothing.
        """
        nonces = self._nonces(batch_of(row))
        return row if nonces is None else fill(row, nonces)

    def leaf(
        self, class_name: str, batch_id: int, position: int, row: bytes, nonce: bytes | None
    ) -> bytes:
        """The leaf hash of a tuple; `nonce`: the one that a pack stores beside it, if any."""
        del class_name, batch_id, position
        whole = self.completed(row) if nonce is None else with_nonce(row, nonce)
        return hashlib.sha256(b"\x00" + whole).digest()

    def _nonces(self, batch_id: int) -> Nonces | None:
        found = self._recent.get(batch_id)
        if found is None:
            key = self.keys.get(batch_id)
            if key is None:
                return None
            if len(self._recent) >= _RECENT:
                self._recent.clear()
            found = self._recent[batch_id] = Nonces(key)
        return found


def batch_of(row: bytes) -> int:
    """The batch id of a tuple."""
    batch: int = _int8(row, _BATCH_AT)[0]
    return batch


def position_of(row: bytes) -> int:
    """The position of a tuple in its batch."""
    position: int = _length(row, _DURATION_AT + 8 + max(_length(row, _DURATION_AT)[0], 0))[0]
    return position


def nonce_at(row: bytes) -> int:
    """Where the length of the nonce is in a tuple."""
    at: int = _DURATION_AT + 4 + max(_length(row, _DURATION_AT)[0], 0)
    at += 24  # position, ingest_key_id, tenant
    at += 4 + _length(row, at)[0]  # level
    at += 37  # created_ns, severity_number, kind, id
    for _ in range(3):  # trace_id, span_id, parent_span_id
        at += 4 + max(_length(row, at)[0], 0)
    return at
