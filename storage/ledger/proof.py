"""The proof of one record: row, leaves of its part, entry, path to a signed head.

`python verify.py PROOF --key …` verifies it without any other input (verify.py, take_proof).
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from config.errors import Unavailable
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.tree.merkle import sides
from storage.ledger.tree.notes import read
from storage.ledger.tree.stored_nodes import inclusion_path
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import HEADER, TRAILER, fields_of, leaf_of, part_digest, rows_of

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


async def proof_of(connection: Connection, wanted: UUID) -> dict[str, object] | None:
    """The proof of the record with this id, JSON-compatible; None when there is no such record.

    Raises:
        NotSignedYet: retry in a second.
        NoProof: the rows do not match the ledger.
    """
    first = datetime.fromtimestamp(0, UTC) + timedelta(
        milliseconds=int.from_bytes(wanted.bytes[:6], "big")
    )
    place = await connection.fetchrow(
        statement("place_of_record"), wanted, first, first + timedelta(milliseconds=1)
    )
    if place is None:
        return None
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        entry = await connection.fetchrow(statement("entry_of_batch"), place["batch_id"])
        head = await connection.fetchrow(statement("newest_checkpoint"))
        if entry is None or head is None or read(head["note"]).size <= entry["seq"]:
            raise NotSignedYet("the record is stored; retry to get its proof")
        row, leaves = await _part(connection, place, json.loads(entry["body"]))
        path = await inclusion_path(connection, entry["seq"], head["size"])
        rotations = await connection.fetch(statement("ledger_keys"))
    return {
        "class": place["class"],
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


async def _part(
    connection: Connection, place: asyncpg.Record, body: dict[str, object]
) -> tuple[bytes, list[bytes]]:
    """The row, and the leaves of its part in order of position."""
    rows = await _rows(connection, place)
    leaves: Leaves = {position: leaf_of(row) for position, row in rows.items()}
    leaves |= await _absent(connection, place, body)
    ordered = [leaves[position] for position in sorted(leaves)]
    digest = part_digest(place["class"], place["batch_id"], b"".join(ordered)).hex()
    parts = body["parts"]
    assert isinstance(parts, list)
    if digest not in [part[4] for part in parts]:
        raise NoProof("the rows of its batch do not match the ledger; run `opslog verify`")
    return rows[place["position"]], ordered


async def _rows(connection: Connection, place: asyncpg.Record) -> dict[int, bytes]:
    pieces: list[bytes] = []

    async def take(piece: bytes) -> None:
        pieces.append(bytes(piece))

    columns = ", ".join(COPY_COLUMNS)
    await connection.copy_from_query(
        # received_at has an index (BRIN), batch_id has none.
        f"SELECT {columns} FROM system_logs_s{place['segment']:d}"  # noqa: S608 - names of ours
        " WHERE received_at = $1 AND batch_id = $2",
        place["received_at"],
        place["batch_id"],
        output=take,
        format="binary",
    )
    data = b"".join(pieces).removeprefix(HEADER).removesuffix(TRAILER)
    return {
        int.from_bytes(fields_of(row)["position"] or b"", "big", signed=True): row
        for row in rows_of(data)
    }


async def _absent(connection: Connection, place: asyncpg.Record, body: dict[str, object]) -> Leaves:
    """Leaves of rows of this part that are dead letters or were purged."""
    missing = body.get("missing", [])
    assert isinstance(missing, list)
    absent = {
        position: bytes.fromhex(leaf)
        for class_name, position, leaf in missing
        if class_name == place["class"]
    }
    for purge in await connection.fetch(statement("purges_of")):
        entry = json.loads(purge["body"])
        if entry["class"] == place["class"]:
            for batch, position, leaf in entry["removed"]:
                if batch == place["batch_id"]:
                    absent[position] = bytes.fromhex(leaf)
    return absent
