"""Numbers, hashes and signs the entries in ledger_in; one process at a time does it.

    every second of activity    entries -> place, hash, subtrees; one signed head over all
    every heartbeat when idle   a head that confirms that there are no further entries

A head is committed first and published afterwards. After a lost connection, or a commit with an
unknown result, it restarts from the state of the database.
"""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

import asyncpg

from config.settings import LedgerSettings
from storage.database.dedicated import DedicatedConnection
from storage.database.locks import LEDGER_SPACE
from storage.database.pool import Connection, DatabaseRole
from storage.database.statements import statement
from storage.errors import EvidenceKeyWrong, LedgerBehind
from storage.ledger.entries import enter
from storage.ledger.metrics import note_head
from storage.ledger.tree.chain import NO_ENTRY, entry_hash
from storage.ledger.tree.heads import Heads
from storage.ledger.tree.keys import EvidenceKeys, followed_by, public_of
from storage.ledger.tree.merkle import Frontier, Node
from storage.ledger.tree.notes import Head, public_bytes, sign, verifier_key
from storage.ledger.tree.stored_nodes import frontier
from storage.record.columns import ENCODING_VERSION

_log = logging.getLogger(__name__)
_MOST_ENTRIES = 5_000
"""Maximum per transaction; more are sequenced immediately in the next."""
_TURN_EVERY_S = 1.0


@dataclass(slots=True)
class _End:
    """The end of the ledger, and the current key."""

    origin: str
    public: bytes
    tree: Frontier
    last_hash: bytes


class Sequencer:
    """The only writer of the ledger. Every writing process has one; a lock elects the leader."""

    def __init__(
        self, dsn: str, keys: EvidenceKeys, heads: Heads, settings: LedgerSettings
    ) -> None:
        self.is_leader = False
        self._keys = keys
        self._heads = heads
        self._settings = settings
        self._dedicated = DedicatedConnection(
            dsn, DatabaseRole.WRITER, name="opslog-ledger", task="signing the ledger"
        )

    @property
    def problem(self) -> str:
        """Why the ledger cannot be signed or published at present; empty when it can."""
        return self._dedicated.problem or self._heads.problem

    async def run(self) -> None:
        """Sequence until cancelled; reconnects when the connection is lost."""
        try:
            await self._dedicated.run(self._sequence)
        finally:
            await self._heads.close()

    async def _sequence(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        try:
            while not await connection.fetchval(statement("sequence_ledger"), LEDGER_SPACE):
                self._dedicated.succeeded()
                await asyncio.sleep(_TURN_EVERY_S)
            self.is_leader = True
            end = await self._begin(connection)
            signed_s = float("-inf")
            while True:
                began_s = time.monotonic()
                idle = began_s - signed_s >= self._settings.heartbeat_s
                if taken := await self._step(connection, end, even_if_idle=idle):
                    signed_s = began_s
                self._dedicated.succeeded()
                if taken < _MOST_ENTRIES:
                    spent_s = time.monotonic() - began_s
                    await asyncio.sleep(max(self._settings.checkpoint_s - spent_s, 0.01))
        except (EvidenceKeyWrong, LedgerBehind) as error:
            self._dedicated.failed(str(error))
        finally:
            self.is_leader = False  # the lock is released with the connection

    async def _begin(self, connection: Connection) -> _End:
        found = await connection.fetchrow(statement("ledger_end"))
        assert found is not None
        if found["size"] == 0:
            return await self._first(connection)
        rows = await connection.fetch(statement("ledger_keys"))
        first = json.loads(rows[0]["body"])
        end = _End(
            first["origin"],
            public_of(first["key"]),
            await frontier(connection, found["size"]),
            found["hash"],
        )
        for row in rows[1:]:
            _rotate(end, row["body"])
        published = self._heads.newest()
        if published and published.origin == end.origin and published.size > end.tree.size:
            await self._acknowledged(connection, published)
        return end

    async def _first(self, connection: Connection) -> _End:
        """Begin a ledger with the entry of its name and key."""
        origin = f"opslog/{token_hex(8)}"
        public = public_bytes(self._keys.current())
        body = {
            "origin": origin,
            "key": verifier_key(origin, public),
            "encoding": ENCODING_VERSION,
        }
        async with connection.transaction():
            # A process that ended here may have left one that was not sequenced.
            found = await connection.fetchrow(statement("waiting_entries"), 1)
            if found is None or found["kind"] != "genesis":
                await enter(connection, "genesis", body)
            else:
                body = json.loads(found["body"])
        _log.info("new ledger; its public key is %s", body["key"])
        return _End(str(body["origin"]), public_of(str(body["key"])), Frontier(), NO_ENTRY)

    async def _acknowledged(self, connection: Connection, published: Head) -> None:
        """Resume signing an older database only if its restoration was recorded."""
        for row in await connection.fetch(statement("restorations")):
            if json.loads(row["body"])["head"] == published.size:
                return
        raise LedgerBehind(
            f"a head of {published.size} entries was published, but the database has fewer: it is "
            "an older copy. Use the newer one, or record the restoration: opslog ledger restored"
        )

    async def _step(self, connection: Connection, end: _End, *, even_if_idle: bool) -> int:
        """Sequence waiting entries; returns their number, at least 1 after a heartbeat."""
        waiting = await connection.fetch(statement("waiting_entries"), _MOST_ENTRIES)
        if not waiting and not even_if_idle:
            return 0
        first = end.tree.size
        hashes, whole = _append(end, waiting)
        key = self._keys.signer(end.public)
        note = sign(Head(end.origin, end.tree.size, end.tree.root(), time.time_ns() // 1000), key)
        await connection.execute(
            statement("append_ledger"),
            first,
            [row["in_id"] for row in waiting],
            hashes,
            [node.height for node, _ in whole],
            [node.place for node, _ in whole],
            [root for _, root in whole],
            note,
        )
        self._heads.publish(note)
        note_head(end.tree.size)
        return max(len(waiting), 1)


def _append(
    end: _End, waiting: Sequence["asyncpg.Record"]
) -> tuple[list[bytes], list[tuple[Node, bytes]]]:
    """The hashes of the entries, and the subtrees that they complete."""
    hashes: list[bytes] = []
    whole: list[tuple[Node, bytes]] = []
    for row in waiting:
        end.last_hash = entry_hash(
            end.tree.size, end.last_hash, row["created_us"], row["kind"], row["body"]
        )
        hashes.append(end.last_hash)
        whole += end.tree.append(end.last_hash)
        if row["kind"] == "key_rotate":
            _rotate(end, row["body"])
    return hashes, whole


def _rotate(end: _End, body: str) -> None:
    """Switch to the next key; an entry that is not signed by both keys is ignored."""
    new = followed_by(end.origin, end.public, json.loads(body))
    if new is None:
        _log.error("a key rotation in the ledger is not signed by both keys; ignored")
        return
    end.public = new
