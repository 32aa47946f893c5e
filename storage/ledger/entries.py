"""Ledger entries: their kinds, and the members that each must have.

    async with connection.transaction():
        …                                          # change something
        await enter(connection, "retire", {…})     # and record it, atomically

Bodies are JSON objects of strings, integers, lists; hashes are in hex, times in microseconds since
1970. verify.py reads these members by name: add new kinds there as well.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from storage.database.connection import Connection
from storage.database.statements import statement

DATA: Final = "data"

REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    # The first entry: name of this ledger, public key.
    "genesis": ("origin", "key"),
    # One stored request: counts, streams, its rows in each segment (data.py).
    DATA: ("batch", "received_us", "key", "received", "stored", "parts"),
    # A segment is sealed (by releases before packs): `root` is the RFC 9162 root over the leaves
    # of all its rows in order of batch id and position; `parts` their number.
    "seal": ("segment", "class", "rows", "parts", "root"),
    # A segment is packed: `root` is the RFC 9162 root over the digests of its parts in order of
    # batch id (copy_binary.part_digest), `parts` their number; SHA-256 of its data file and its
    # index, and the bytes of both. The index has the parts and their marks from then on.
    "pack": ("segment", "class", "rows", "parts", "root", "data", "index", "bytes"),
    # A pack is brought back into the database; it may be packed again.
    "unpack": ("segment", "class", "rows", "by"),
    # A segment is dropped, in the transaction of the DROP; members as of its pack (or its last
    # rewrite), and the reason. Of held rows, `to` is the segment that has them now, and `kept` its
    # contents: [[batch id, rows, digest], …], digests as in copy_binary.part_digest.
    "retire": ("segment", "class", "rows", "root", "policy"),
    # Segments are copied into one and then dropped. All parts of `from` are then in `to`, with the
    # same digests; parts that were rewritten before keep their removed leaves.
    "merge": ("from", "to", "class", "rows", "root"),
    # The same, with rows removed: `removed` is [[batch id, position, leaf], …], so that the digests
    # of their parts can still be checked. `to` is null when nothing remained. Where most rows are
    # removed, `kept` (as in retire) is shorter, and `removed` is empty.
    "purge": ("from", "to", "class", "rows", "root", "removed", "by", "reason"),
    # A legal hold on records; the filter as text or JSON.
    "hold": ("hold", "by", "reason"),
    "release": ("hold", "by", "reason"),
    # The retention rules change from here on.
    "policy": ("policy", "by"),
    # The signing key changes; signed by both.
    "key_rotate": ("old", "new", "signature_old", "signature_new"),
    # The database was restored from a backup: published heads beyond its size are void.
    "restore": ("head", "by", "reason"),
    # A dead letter was discarded.
    "dead_letter": ("dead_letter", "by", "reason"),
    # Known damage: what, and who reported it.
    "corrupt": ("what", "by"),
}
"""Required members of the body, by kind; a body may have more."""


async def enter(connection: Connection, kind: str, body: Mapping[str, object]) -> None:
    """Add an entry to the ledger, in the caller's transaction; it is numbered within a second.

    `body` is written with sorted keys. Needs INSERT on ledger_in: every role but the reader.

    Raises:
        ValueError: an unknown kind, or a member is missing.
    """
    await enter_all(connection, kind, [body])


async def enter_all(
    connection: Connection, kind: str, bodies: Sequence[Mapping[str, object]]
) -> None:
    """Several entries of one kind, in their order, in one statement. Raises as `enter` does."""
    texts = [body_text(kind, body) for body in bodies]
    nothing = [None] * len(texts)
    await connection.execute(statement("enter_ledger"), [kind] * len(texts), texts, nothing)


async def enter_data(
    connection: Connection, batch_ids: Sequence[int], bodies: Sequence[str]
) -> None:
    """Add one entry per batch of a transaction, in one statement."""
    kinds = [DATA] * len(batch_ids)
    await connection.execute(statement("enter_ledger"), kinds, bodies, batch_ids)


def body_text(kind: str, body: Mapping[str, object]) -> str:
    """The body as it is stored and hashed: compact JSON with sorted keys."""
    missing = [name for name in REQUIRED[kind] if name not in body] if kind in REQUIRED else None
    if missing is None:
        raise ValueError(f"the ledger has no entries of kind {kind!r}")
    if missing:
        raise ValueError(f"an entry of kind {kind} needs {', '.join(missing)}")
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
