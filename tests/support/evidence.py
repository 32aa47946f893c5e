"""The storage side of an installation: spool, writer, sequencer, key and heads in one folder."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.settings import LedgerSettings, SpoolSettings, WriterSettings
from storage.ledger.sequencer import Sequencer
from storage.ledger.tree.heads import Heads
from storage.ledger.tree.keys import FILE, EvidenceKeys
from storage.ledger.tree.notes import public_bytes, verifier_key
from storage.spool.spool import Spool
from storage.writing.writer import Writer

QUICK = LedgerSettings(checkpoint_s=0.05, heartbeat_s=3600)


def write_key(folder: Path, name: str = FILE) -> Ed25519PrivateKey:
    """A new key in a folder of secrets."""
    folder.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / name).write_bytes(pem)
    return key


class Store:
    """Spool, writer and ledger for the tests of evidence."""

    def __init__(self, folder, database, pool, *, spool, writer, sequencer):
        self.folder, self.database, self.pool = folder, database, pool
        self.spool, self.writer, self.sequencer = spool, writer, sequencer
        self.keys = EvidenceKeys(folder / "secrets")
        self.heads = Heads(folder / "heads")

    async def send(self, *frames):
        """Store frames, and wait until the ledger has them."""
        for frame in frames:
            await self.spool.append(frame)
        async with asyncio.timeout(20):
            await self.spool.drained()
        await self.sequenced()

    async def sequenced(self):
        """Wait until all entries are signed."""
        async with asyncio.timeout(20):
            while await self.value("SELECT count(*) FROM ledger_in") or not await self.value(
                "SELECT count(*) FROM ledger"
            ):
                await asyncio.sleep(0.02)
            # A head is published after its commit.
            while not (newest := self.heads.newest()) or newest.size != await self.value(
                "SELECT count(*) FROM ledger"
            ):
                await asyncio.sleep(0.02)

    async def value(self, sql, *arguments):
        return await self.pool.fetchval(sql, *arguments)

    async def public(self) -> str:
        """The public key as `opslog ledger key` prints it."""
        origin = await self.value("SELECT body::jsonb ->> 'origin' FROM ledger WHERE seq = 0")
        return verifier_key(origin, public_bytes(self.keys.current()))


@asynccontextmanager
async def open_store(folder: Path, database, pool, *, settings=QUICK, heads=None):
    """Start everything, and stop it at the end."""
    (folder / "secrets").mkdir(parents=True, exist_ok=True)
    if not (folder / "secrets" / FILE).exists():
        write_key(folder / "secrets")
    spool = await Spool.open(
        folder / "spool" / "receiver-0", SpoolSettings(min_free_bytes=0), 2**20
    )
    writer = Writer(
        pool,
        spool,
        WriterSettings(linger_ms=0),
        duplicate_window_s=3600,
        note=lambda *_: None,
    )
    keys = EvidenceKeys(folder / "secrets")
    sequencer = Sequencer(database.dsn, keys, heads or Heads(folder / "heads"), settings)
    tasks = [asyncio.create_task(writer.run()), asyncio.create_task(sequencer.run())]
    await writer.register()
    try:
        yield Store(folder, database, pool, spool=spool, writer=writer, sequencer=sequencer)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await spool.close()
