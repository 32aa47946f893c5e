"""What is needed to recompute leaf hashes from stored rows: encoding versions and keys by batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.record.columns import SELF_CONTAINED
from storage.record.nonces import Completer, class_key


@dataclass(frozen=True, slots=True)
class Encodings:
    """Of some batches, for their rows of one class. The keys never leave the process."""

    versions: dict[int, int]
    rows: Completer

    def version(self, batch_id: int) -> int:
        """The encoding version of a batch, which its digest covers."""
        return self.versions.get(batch_id, SELF_CONTAINED)


async def encodings_of_segments(connection: Connection, segments: Sequence[int]) -> Encodings:
    """The encodings of all batches with rows in these segments of one class. As the owner."""
    return _encodings(await connection.fetch(statement("encodings_of_segments"), segments))


async def encodings_of_batches(
    connection: Connection, batch_ids: Sequence[int], class_name: str
) -> Encodings:
    """The encodings of these batches, for their rows of one class. As the owner."""
    return _encodings(
        await connection.fetch(statement("encodings_of_batches"), batch_ids, class_name)
    )


async def forget_secrets(connection: Connection, batch_ids: Sequence[int], class_name: str) -> None:
    """Delete the secrets of batches of which rows of this class are purged. As the owner.

    Belongs in the transaction after which the remaining rows have their nonces stored.
    """
    await connection.execute(statement("forget_secrets"), batch_ids, class_name)


def _encodings(rows: Iterable[asyncpg.Record]) -> Encodings:
    versions: dict[int, int] = {}
    keys: dict[int, bytes] = {}
    for row in rows:
        batch_id = row["batch_id"]
        versions[batch_id] = row["version"]
        if row["key"] is not None:
            keys[batch_id] = row["key"]
        elif row["secret"] is not None:
            keys[batch_id] = class_key(row["secret"], row["class"])
    return Encodings(versions, Completer(keys))
