"""Records, frames and batches for tests: valid ones of every shape, and random ones."""

import os
import random
import time
from dataclasses import replace
from hashlib import sha256

from storage.record.classes import classify
from storage.record.copy_binary import encode, part_digest, rows_of
from storage.record.nonces import Nonces, class_key, fill
from storage.record.record import Batch, Part, Record, RedactedBatch, StreamDef
from storage.spool.batch_ids import BatchIds
from storage.spool.frame import NO_HASH, Frame

_IDS = BatchIds(1)


def make_stream(resource: bytes, scope: bytes = b'{"name": "shop"}') -> StreamDef:
    """A stream as the mapping makes it: its id and digest follow from the texts."""
    texts = (resource, scope, b"", b"")
    digest = sha256(b"".join(len(text).to_bytes(8, "big") + text for text in texts)).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    return StreamDef(number, digest, resource, scope, "", "")


STREAM = make_stream(b'{"service.name": "checkout"}')


def make_record(**fields) -> Record:
    """A plain log record; any field may be given."""
    record = Record()
    defaults = {
        "id": os.urandom(16),
        "kind": "log",
        "level": 1,
        "severity_number": 9,
        "created_unix_ns": time.time_ns(),
        "odd_time": False,
        "stream_id": STREAM.id,
        "duration_ns": None,
        "trace_id": None,
        "span_id": None,
        "parent_span_id": None,
        "ip_address": None,
        "source_module": "checkout",
        "action": "order.place",
        "resource_type": None,
        "resource_id": None,
        "actor_id": None,
        "correlation_id": None,
        "message": "order placed",
        "metadata": b"{}",
    }
    for name, value in (defaults | fields).items():
        setattr(record, name, value)
    return record


def full_record(seed: int = 1) -> Record:
    """A record in which every nullable field is set."""
    chance = random.Random(seed)
    return make_record(
        kind=chance.choice(["log", "span", "audit"]),
        level=chance.randrange(5),
        severity_number=chance.choice([0, 17, -5, 40_000, -40_000]),
        created_unix_ns=chance.randrange(2**64),
        duration_ns=chance.randrange(2**63),
        trace_id=chance.randbytes(16),
        span_id=chance.randbytes(8),
        parent_span_id=chance.randbytes(8),
        ip_address=chance.randbytes(chance.choice([4, 16])),
        resource_type="order",
        resource_id=f"o-{seed}",
        actor_id=f"u-{seed}",
        correlation_id="c" * 36,
        message="ünïcode ☃ \U0001f600 \uffff",
        metadata=b'{"attributes": {"a": 1, "bb": "x"}}',
    )


def make_batch(records: list[Record], *, stream=STREAM, **fields) -> RedactedBatch:
    """A batch as the mapping makes it."""
    fields = {"received": len(records)} | fields
    return RedactedBatch(Batch(records, {stream.id: stream}, **fields))


def make_frame(
    records: list[Record],
    *,
    ids: BatchIds | None = None,
    request_hash: bytes = NO_HASH,
    key_id: int = 0,
    **fields,
) -> Frame:
    """A frame of these records, as the pipeline makes it."""
    batch = make_batch(records, **fields)
    batch_id = (ids or _IDS).next()
    now, secret = time.time_ns(), os.urandom(16)
    parts = encode(
        batch,
        batch_id=batch_id,
        received_unix_ns=now,
        ingest_key_id=key_id,
        classify=classify,
        secret=secret,
    )
    return Frame(
        batch_id=batch_id,
        received_unix_ns=now,
        ingest_key_id=key_id,
        signal="logs",
        request_hash=request_hash,
        received=batch.received,
        derived=batch.derived,
        rejected=batch.rejected,
        streams=(fields.get("stream", STREAM),),
        parts=tuple(parts),
        secret=secret,
    )


def rows_with_nonces(frame: Frame, part: Part) -> list[bytes]:
    """The tuples of a part as their leaf hashes cover them."""
    if not frame.secret:
        return list(rows_of(part.copy_bytes))
    nonces = Nonces(class_key(frame.secret, part.class_name))
    return [fill(row, nonces) for row in rows_of(part.copy_bytes)]


def as_version_1(frame: Frame) -> Frame:
    """The same frame as the release before wrote it: with a nonce in each row, without a secret."""
    parts = []
    for part in frame.parts:
        digest = part_digest(part.class_name, frame.batch_id, part.leaves, 1)
        rows = b"".join(rows_with_nonces(frame, part))
        parts.append(replace(part, copy_bytes=rows, digest=digest))
    return replace(frame, parts=tuple(parts), encoding_version=1, secret=b"")
