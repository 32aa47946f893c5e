"""The ledger entry of one stored request. Pure; takes a few microseconds per request."""

from array import array
from binascii import b2a_base64
from collections.abc import Mapping

from storage.ledger.accounting.stored_frame import StoredFrame
from storage.ledger.entries import DATA, body_text
from storage.record.record import Part

MARK_BYTES = 4
_LEAF_WORDS = 32 // MARK_BYTES


def marks_of(part: Part) -> bytes:
    """The first four bytes of each leaf of a part, to identify a changed row later."""
    return array("I", part.leaves)[::_LEAF_WORDS].tobytes()


def _short(digest: bytes) -> str:
    """A digest in base64 without padding: 43 characters; requests have many streams."""
    return b2a_base64(digest, newline=False)[:43].decode()


def data_body(entry: StoredFrame, segments: Mapping[str, int]) -> str:
    """The body of a data entry.

    Streams are SHA-256 digests in base64; older entries have hexadecimal digits.
    A part is [class, segment, rows, bytes, digest, leaves]; the digest covers `leaves` rows, of
    which those in `missing` ([class, position, leaf]) were rejected and are dead letters.
    """
    frame = entry.frame
    body: dict[str, object] = {
        "batch": frame.batch_id,
        "received_us": frame.received_unix_ns // 1000,
        "key": frame.ingest_key_id,
        "signal": frame.signal,
        "encoding": frame.encoding_version,
        "received": frame.received,
        "derived": frame.derived,
        "stored": entry.stored,
        "duplicate": entry.duplicate,
        "dead": entry.dead,
        "rejected": frame.rejected,
        "streams": [_short(stream.digest) for stream in frame.streams],
        "parts": [
            (
                part.class_name,
                segments[part.class_name],
                part.rows,
                len(part.copy_bytes),
                part.digest.hex(),
                len(part.leaves) // 32,
            )
            for part in entry.parts
        ],
    }
    if entry.duplicate_of is not None:
        body["duplicate_of"] = entry.duplicate_of
    if entry.dead_rows:
        body["missing"] = [
            (row.class_name, row.position, row.leaf.hex()) for row in entry.dead_rows
        ]
    return body_text(DATA, body)
