"""Manual handling of dead letters: list, show, replay after a fix, or discard.

A replayed row becomes its own batch, of a spool reserved for replays: the same bytes except for
batch id and position. It has its nonce, so the batch is one of version 1, without a secret. It is
subtracted from `dead` and added to `stored`.
"""

import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from uuid import UUID

import asyncpg

from config.errors import BadInput
from config.levels import LEVEL_NAMES
from storage.database.connection import Connection
from storage.database.locks import REPLAY_SPACE
from storage.database.statements import statement
from storage.errors import NoDeadLetter
from storage.ledger.accounting.stored_frame import StoredFrame
from storage.ledger.entries import enter
from storage.record.columns import SELF_CONTAINED
from storage.record.copy_binary import PG_EPOCH_US, fields_of, leaf_of, part_digest
from storage.record.record import Part
from storage.segments.rollover import enter_segments, open_segment
from storage.spool.batch_ids import ID_BITS, BatchIds
from storage.spool.frame import NO_HASH, Frame
from storage.writing.accounts import account
from storage.writing.copying import copy_rows
from storage.writing.dead_letters import is_data_error

REPLAY_SPOOL = UUID("6f70736c-6f67-8000-8000-7265706c6179")
"""Identity of the spool reserved for replays."""
SIGNAL = "replay"
STATES = ("waiting", "replayed", "discarded")
_BATCH_ID_AT, _DURATION_AT = 30, 50
_PAST_US, _FUTURE_US = 400 * 86_400_000_000, 86_400_000_000
"""Times further from arrival are excluded from the zone map
(otlp_receiver/mapping/columns/times.py)."""


_HIDDEN = frozenset({"row_bytes", "leaf"})
_RECENT_MS = 60_000
_EPOCH = datetime.fromtimestamp(0, UTC)
_TEXTS = frozenset(
    {"level", "kind", "source_module", "action", "resource_type", "resource_id", "actor_id"}
    | {"correlation_id", "message", "metadata"}
)
_NUMBERS = frozenset(
    {"batch_id", "stream_id", "duration_ns", "position", "ingest_key_id", "tenant"}
    | {"created_ns", "severity_number"}
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a replay."""

    stored: bool
    reason: str = ""
    """Why PostgreSQL rejected the row again."""


async def letters(
    connection: Connection, *, state: str = "waiting", limit: int = 100, after: int = 0
) -> list[asyncpg.Record]:
    """Dead letters in a state, oldest first, after number `after`; without their rows."""
    return await connection.fetch(statement("dead_letters"), state, after, limit)


async def contents(connection: Connection, number: int) -> dict[str, object]:
    """One dead letter with its (redacted) row, column by column, in readable form.

    Raises:
        NoDeadLetter: there is none with this number.
    """
    letter = await _letter(connection, number)
    row = {name: _shown(name, value) for name, value in fields_of(letter["row_bytes"]).items()}
    return {**{name: value for name, value in letter.items() if name not in _HIDDEN}, "row": row}


async def discard(connection: Connection, number: int, *, by: str, reason: str) -> None:
    """Discard a dead letter; the ledger records by whom and why, and the row stays visible.

    Raises:
        BadInput: no dead letter with this number is waiting, or the reason is empty.
    """
    if not reason.strip():
        raise BadInput("a reason is required", where="reason")
    async with connection.transaction():
        await _close(connection, number, "discarded", f"{by}: {reason}")
        await enter(connection, "dead_letter", {"dead_letter": number, "by": by, "reason": reason})


async def replay(connection: Connection, number: int, *, by: str) -> Outcome:
    """Store a dead letter as if it had arrived with its request.

    Raises:
        BadInput: no dead letter with this number is waiting, or its encoding is another one.
    """
    letter = await _letter(connection, number)
    if letter["encoding_version"] != SELF_CONTAINED:
        raise BadInput(
            f"the row has encoding {letter['encoding_version']}; this opslog replays"
            f" {SELF_CONTAINED}",
            where="encoding",
        )
    await open_segment(connection, letter["class"])
    try:
        async with connection.transaction():
            await _close(connection, number, "replayed", f"by {by}")
            await _store(connection, letter)
    except asyncpg.PostgresError as error:
        if not is_data_error(error):
            raise
        return Outcome(stored=False, reason=str(error).splitlines()[0][:500])
    return Outcome(stored=True)


async def _store(connection: Connection, letter: asyncpg.Record) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1, 0)", REPLAY_SPACE)
    spool_id = await connection.fetchval(statement("register_spool"), REPLAY_SPOOL, "replays")
    recent = (time.time_ns() // 1_000_000 - _RECENT_MS) << ID_BITS
    newest = await connection.fetchval(statement("newest_batch_of"), spool_id, recent)
    batch_id = BatchIds(spool_id, newest or 0).next()
    segments = await enter_segments(connection, [letter["class"]])
    part = part_of(letter, batch_id)
    await copy_rows(connection, segments[letter["class"]], [part.copy_bytes])
    frame = Frame(
        batch_id=batch_id,
        received_unix_ns=_us(letter["received_at"]) * 1000,
        ingest_key_id=_key_of(letter["row_bytes"]),
        signal=SIGNAL,
        request_hash=NO_HASH,
        received=0,
        derived=0,
        rejected={},
        streams=(),
        parts=(part,),
        encoding_version=SELF_CONTAINED,
    )
    await account(connection, spool_id, [StoredFrame(frame, (part,), replayed=1)], segments)


def part_of(letter: asyncpg.Record, batch_id: int) -> Part:
    """The row as a batch with one row."""
    row = bytearray(letter["row_bytes"])
    struct.pack_into(">q", row, _BATCH_ID_AT, batch_id)
    duration = max(struct.unpack_from(">i", row, _DURATION_AT)[0], 0)
    struct.pack_into(">i", row, _DURATION_AT + 8 + duration, 0)
    raw = bytes(row)
    fields = fields_of(raw)
    created_us = int.from_bytes(fields["created_at"] or b"", "big", signed=True) + PG_EPOCH_US
    received_us = _us(letter["received_at"])
    odd = not received_us - _PAST_US <= created_us <= received_us + _FUTURE_US
    level = LEVEL_NAMES.index((fields["level"] or b"").decode())
    kind, module = (fields["kind"] or b"").decode(), (fields["source_module"] or b"").decode()
    leaf = leaf_of(raw)
    return Part(
        class_name=letter["class"],
        rows=1,
        copy_bytes=raw,
        leaves=leaf,
        digest=part_digest(letter["class"], batch_id, leaf, SELF_CONTAINED),
        min_created_us=0 if odd else created_us,
        max_created_us=0 if odd else created_us,
        odd_times=int(odd),
        counts=((created_us // 60_000_000, level, kind, module, 1, len(raw)),),
    )


async def _letter(connection: Connection, number: int) -> asyncpg.Record:
    letter = await connection.fetchrow(statement("dead_letter"), number)
    if letter is None:
        raise NoDeadLetter(number)
    return letter


async def _close(connection: Connection, number: int, state: str, note: str) -> None:
    closed = await connection.fetchval(statement("close_dead_letter"), number, state, note[:500])
    if closed is None:
        raise BadInput(f"dead letter {number} is no longer waiting", where="id")


def _key_of(row: bytes) -> int:
    return int.from_bytes(fields_of(row)["ingest_key_id"] or b"", "big", signed=True)


def _us(moment: datetime) -> int:
    return round((moment - _EPOCH) / timedelta(microseconds=1))


def _shown(name: str, value: bytes | None) -> object:
    """A value in PostgreSQL's binary representation, in readable form."""
    if value is None:
        return None
    if name in _TEXTS:
        return value.removeprefix(b"\x01").decode(errors="replace")
    if name in _NUMBERS:
        return int.from_bytes(value, "big", signed=True)
    if name in {"created_at", "received_at"}:
        us = int.from_bytes(value, "big", signed=True) + PG_EPOCH_US
        return (_EPOCH + timedelta(microseconds=us)).isoformat()
    if name == "ip_address":
        return str(ip_address(value[4:]))
    return value.hex()
