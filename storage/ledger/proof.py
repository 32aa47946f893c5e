"""The proof of one record: row, leaves of its part, entry, path to a signed head.

`python verify.py PROOF --key …` verifies it without any other input (verify.py, take_proof).
"""

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from config.errors import Unavailable
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.packed_rows import PackedSegment, find_record, tuples_of_batch
from storage.ledger.tree.merkle import sides
from storage.ledger.tree.notes import read
from storage.ledger.tree.stored_nodes import inclusion_path
from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.store import PackStore
from storage.record.columns import COPY_COLUMNS, SELF_CONTAINED
from storage.record.copy_binary import HEADER, TRAILER, fields_of, leaf_of, part_digest, rows_of
from storage.record.nonces import has_nonce, with_nonce

Leaves = dict[int, bytes]
"""Position to leaf."""


class NotSignedYet(Unavailable):
    """The record is stored, but not yet covered by a signed head, which takes about a second."""

    code = "not_signed_yet"
    title = "The record is not yet covered by a signed head"
    retry_after_s = 1


class NoProof(Unavailable):
    """The record exists, but its batch does not match the ledger; run `opslog verify`."""

    code = "no_proof"
    title = "This record cannot be proven"
    retryable = False


async def proof_of(
    connection: Connection, wanted: UUID, store: PackStore | None = None
) -> dict[str, object] | None:
    """The proof of the record with this id, JSON-compatible; None when there is no such record.

    Raises:
        NotSignedYet: retry in a second.
        NoProof: the rows do not match the ledger.
    """
    place = await _place(connection, wanted, store)
    if place is None:
        return None
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        entry = await connection.fetchrow(statement("entry_of_batch"), place.batch_id)
        head = await connection.fetchrow(statement("newest_checkpoint"))
        if entry is None or head is None or read(head["note"]).size <= entry["seq"]:
            raise NotSignedYet("the record is stored; retry to get its proof")
        row, leaves = await _part(connection, place, json.loads(entry["body"]))
        path = await inclusion_path(connection, entry["seq"], head["size"])
        rotations = await connection.fetch(statement("ledger_keys"))
    return {
        "class": place.class_name,
        "row": base64.b64encode(row).decode(),
        "leaves": base64.b64encode(b"".join(leaves)).decode(),
        "entry": [entry[name] for name in ("seq", "created_us", "kind", "body")],
        "before": entry["before"].hex(),
        "path": [
            [side, step.hex()]
            for side, step in zip(sides(entry["seq"], head["size"]), path, strict=True)
        ],
        "head": head["note"],
        "rotations": [json.loads(found["body"]) for found in rotations[1:]],
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a record is."""

    segment: int
    class_name: str
    batch_id: int
    position: int
    received_at: datetime | None = None
    """Of a leaf."""
    pack: Pack | None = None


async def _place(connection: Connection, wanted: UUID, store: PackStore | None) -> _Place | None:
    first = datetime.fromtimestamp(0, UTC) + timedelta(
        milliseconds=int.from_bytes(wanted.bytes[:6], "big")
    )
    end = first + timedelta(milliseconds=1)
    row = await connection.fetchrow(statement("place_of_record"), wanted, first, end)
    if row is not None:
        return _Place(*row)
    found: list[_Place] = []
    for row in await connection.fetch(statement("packs_of_time"), first, end):
        of = PackedSegment(row["segment"], row["class"], row["data_hash"])
        try:
            pack = await asyncio.to_thread(of.open, store)
            record = await asyncio.to_thread(find_record, pack, wanted)
        except PackDamaged as error:
            raise NoProof(f"a pack cannot be read: {error.problem}; run `opslog verify`") from error
        if record is not None:
            found.append(_Place(of.segment, of.class_name, *record, pack=pack))
    return min(found, key=lambda place: (place.batch_id, place.position), default=None)


async def _part(
    connection: Connection, place: _Place, body: dict[str, object]
) -> tuple[bytes, list[bytes]]:
    """The row, and the leaves of its part in order of position."""
    if place.pack is None:
        rows = await _rows(connection, place)
    else:
        rows = await _packed_rows(place.pack, place)
    rows = await _completed(connection, place, rows)
    leaves: Leaves = {position: leaf_of(row) for position, row in rows.items()}
    leaves |= await _absent(connection, place, body)
    ordered = [leaves[position] for position in sorted(leaves)]
    version = body.get("encoding", SELF_CONTAINED)
    assert isinstance(version, int)
    digest = part_digest(place.class_name, place.batch_id, b"".join(ordered), version).hex()
    parts = body["parts"]
    assert isinstance(parts, list)
    if digest not in [part[4] for part in parts]:
        raise NoProof("the rows of its batch do not match the ledger; run `opslog verify`")
    return rows[place.position], ordered


async def _packed_rows(pack: Pack, place: _Place) -> dict[int, bytes]:
    try:
        return await asyncio.to_thread(tuples_of_batch, pack, place.batch_id)
    except PackDamaged as error:
        raise NoProof(f"a pack cannot be read: {error.problem}; run `opslog verify`") from error


async def _rows(connection: Connection, place: _Place) -> dict[int, bytes]:
    pieces: list[bytes] = []

    async def take(piece: bytes) -> None:
        pieces.append(bytes(piece))

    columns = ", ".join(COPY_COLUMNS)
    await connection.copy_from_query(
        # received_at has an index (BRIN), batch_id has none.
        f"SELECT {columns} FROM system_logs_s{place.segment:d}"  # noqa: S608 - names of ours
        " WHERE received_at = $1 AND batch_id = $2",
        place.received_at,
        place.batch_id,
        output=take,
        format="binary",
    )
    data = b"".join(pieces).removeprefix(HEADER).removesuffix(TRAILER)
    return {
        int.from_bytes(fields_of(row)["position"] or b"", "big", signed=True): row
        for row in rows_of(data)
    }


async def _completed(
    connection: Connection, place: _Place, rows: dict[int, bytes]
) -> dict[int, bytes]:
    """The rows with their nonces. As the reader, who may not see the secret of the batch."""
    bare = [position for position, row in rows.items() if not has_nonce(row)]
    if not bare:
        return rows
    nonces = await connection.fetchval(
        statement("row_nonces"), place.batch_id, place.class_name, bare
    )
    return rows | {
        position: with_nonce(rows[position], nonce)
        for position, nonce in zip(bare, nonces or (), strict=False)
    }


async def _absent(connection: Connection, place: _Place, body: dict[str, object]) -> Leaves:
    """Leaves of rows of this part that are dead letters or were purged."""
    missing = body.get("missing", [])
    assert isinstance(missing, list)
    absent = {
        position: bytes.fromhex(leaf)
        for class_name, position, leaf in missing
        if class_name == place.class_name
    }
    for purge in await connection.fetch(statement("purges_of")):
        entry = json.loads(purge["body"])
        if entry["class"] == place.class_name:
            for batch, position, leaf in entry["removed"]:
                if batch == place.batch_id:
                    absent[position] = bytes.fromhex(leaf)
    return absent
