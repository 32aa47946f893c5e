"""What goes into the ledger: kinds of entries, and the members that each must have.

    async with connection.transaction():
        …                                          # change something
        await enter(connection, "retire", {…})     # and say so, or neither

Bodies are JSON objects of strings, integers, lists; hashes are in hex, times in microseconds since
1970. verify.py reads these members by name: whoever adds a kind here teaches it there.
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
    # One request in the store: figures, streams, its rows in each segment (data.py).
    DATA: ("batch", "received_us", "key", "received", "stored", "parts"),
    # A segment is finished: `root` is the RFC 9162 root over the leaves of all its rows in order of
    # batch id and position; `parts` their number.
    "seal": ("segment", "class", "rows", "parts", "root"),
    # A segment is dropped, in the transaction of the DROP; members as of its seal (or of its last
    # rewriting), and why. Rows that a hold keeps: `to` is the segment that has them now, `kept`
    # what it got: [[batch id, rows, digest], …], digests as copy_binary.part_digest makes them.
    "retire": ("segment", "class", "rows", "root", "policy"),
    # Segments are copied into one and then dropped. All parts of `from` are in `to` afterwards,
    # with the same digests; parts that were rewritten before keep their removed leaves.
    "merge": ("from", "to", "class", "rows", "root"),
    # The same, and some rows are gone: `removed` is [[batch id, position, leaf], …], so that the
    # digests of their parts can still be checked. `to` is null when nothing remained. Where most
    # rows go, `kept` (as in retire) says it shorter, and `removed` is empty.
    "purge": ("from", "to", "class", "rows", "root", "removed", "by", "reason"),
    # Records may not be removed; the filter in words or JSON.
    "hold": ("hold", "by", "reason"),
    "release": ("hold", "by", "reason"),
    # Retention has other rules from here on.
    "policy": ("policy", "by"),
    # The signing key changes; signed by both.
    "key_rotate": ("old", "new", "signature_old", "signature_new"),
    # The database was restored from a backup: heads after its size were published and are void.
    "restore": ("head", "by", "reason"),
    # A row that PostgreSQL had refused was given up.
    "dead_letter": ("dead_letter", "by", "reason"),
    # Something is known to be broken: what, and who says so.
    "corrupt": ("what", "by"),
}
"""Kind to the members that its body must have; it may have more."""


async def enter(connection: Connection, kind: str, body: Mapping[str, object]) -> None:
    """Put an entry into the ledger, in the caller's transaction; it is numbered within a second.

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
    """The batches of one transaction, one entry each, in one statement."""
    kinds = [DATA] * len(batch_ids)
    await connection.execute(statement("enter_ledger"), kinds, bodies, batch_ids)


def body_text(kind: str, body: Mapping[str, object]) -> str:
    """The body as it is stored and hashed: JSON with sorted keys and nothing between them."""
    missing = [name for name in REQUIRED[kind] if name not in body] if kind in REQUIRED else None
    if missing is None:
        raise ValueError(f"the ledger has no entries of kind {kind!r}")
    if missing:
        raise ValueError(f"an entry of kind {kind} needs {', '.join(missing)}")
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
