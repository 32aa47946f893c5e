"""A store with records in it, and the query server in front of it, for tests."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import jwt
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from config.errors import Unavailable
from config.settings import RedactionSettings, Settings, SpoolSettings, WriterSettings
from query.api.app import Dependencies, build_app
from query.api.http.server import MAX_LINE_BYTES
from query.auth.access_audit import AccessEvent
from retention.packing.leaves import drop_leaf
from retention.packing.pack import pack_segment
from storage.access.session_ends import SessionEnds
from storage.database.pool import DatabaseRole, open_pool
from storage.packs.store import PackStore
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys
from storage.segments.catalogue import Catalogue
from storage.spool.batch_ids import BatchIds
from storage.spool.spool import Spool
from storage.writing.batches import Batches
from storage.writing.writer import Writer
from tests.support.records import make_frame

KEY_ID = "own"
CURSOR_KEY = b"c" * 32


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A fresh key for signing tokens."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Its public key."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


OWN_KEY = rsa_key()


def make_token(role: str = "SUPER_ADMIN", *, key=OWN_KEY, headers=None, **claims) -> str:
    """A token as created by `opslog token`; claims that are None are omitted."""
    now = int(time.time())
    said = {
        "iss": "opslog",
        "aud": "opslog",
        "sub": "tester",
        "role": role,
        "iat": now,
        "nbf": now - 5,
        "exp": now + 3600,
    } | claims
    said = {name: value for name, value in said.items() if value is not None}
    header = {"kid": KEY_ID} if headers is None else headers
    # Not jwt.encode, which refuses to make some of the bad ones.
    return jwt.api_jws.encode(json.dumps(said).encode(), key, "RS256", headers=header)


@cache
def redactor() -> Redactor:
    """With the default rules."""
    return Redactor(RedactionSettings(), HmacKeys({"test": b"k" * 32}, current="test"))


class Packing:
    """Packs everything that is stored before a query reads it, if it is switched on."""

    def __init__(self, folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        self.store = PackStore(folder)
        self._requests = 0

    async def run(self, dsn) -> bool:
        """Close and pack all segments with rows; whether there was one.

        Before the first request and each third one: the others read a mix.
        """
        self._requests += 1
        if self._requests % 3 != 1:
            return False
        async with (
            await open_pool(dsn, DatabaseRole.OWNER, size=1) as pool,
            pool.acquire() as owner,
        ):
            return await self.pack(owner)

    async def pack(self, owner, *, keeps_leaves=False, keeps_open=False) -> bool:
        opened = (
            []
            if keeps_open
            else await owner.fetch("SELECT segment, class FROM segments WHERE state = 'open'")
        )
        for segment, class_name in opened:
            if await owner.fetchval(f"SELECT EXISTS (SELECT FROM system_logs_s{segment})"):
                await owner.execute("SELECT opslog_roll_segment($1, $2)", class_name, segment)
        await owner.execute("SELECT opslog_settle_segments()")
        closed = await owner.fetch(
            "SELECT segment FROM segments WHERE state = 'closed' AND rows > 0 ORDER BY segment"
        )
        for (segment,) in closed:
            packed = await pack_segment(owner, self.store, segment)
            assert not packed.damage
            if not keeps_leaves:
                await drop_leaf(owner, segment, deadline_s=10)
        return bool(closed)


packing: Packing | None = None
"""Set by the fixture that runs a test over packs (tests/integration/query/conftest.py)."""


class Storehouse:
    """Spool and writer on a test's database; records are stored when `put` returns."""

    def __init__(self, spool, pool):
        self.pool = pool
        self._spool = spool
        self._ids = BatchIds(1, 0)
        self.writer = Writer(
            pool,
            spool,
            WriterSettings(linger_ms=0),
            duplicate_window_s=0,
            note=lambda *_: None,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, folder, pool):
        spool = await Spool.open(folder, SpoolSettings(min_free_bytes=0), 2**20)
        store = cls(spool, pool)
        task = asyncio.create_task(store.writer.run())
        try:
            yield store
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await spool.close()

    async def put(self, *records, **frame) -> None:
        """Store the records as one request."""
        await self._spool.append(make_frame(list(records), ids=self._ids, **frame))
        await self._spool.drained()

    async def roll(self, class_name: str) -> None:
        """Close the open segment of a class and open the next."""
        number = await self.pool.fetchval("SELECT opslog_open_segment($1)", class_name)
        await self.pool.execute("SELECT opslog_roll_segment($1, $2)", class_name, number)
        await self.pool.execute("SELECT opslog_settle_segments()")


@dataclass
class QueryServer:
    """The application behind a test client, with a token of every permission."""

    client: TestClient
    catalogue: Catalogue
    accesses: list[AccessEvent]
    switches: "Switches"
    dsn: str = ""
    token: str = field(default_factory=make_token)

    async def get(self, path, *, token="", **parameters):
        """The response; `token` None sends none."""
        if packing is not None and await packing.run(self.dsn):
            await self.catalogue.refresh()
        headers = {} if token is None else {"Authorization": f"Bearer {token or self.token}"}
        pairs = [
            (name.replace("__", "."), str(value))
            for name, given in parameters.items()
            for value in (given if isinstance(given, list | tuple) else [given])
        ]
        return await self.client.get(path, params=pairs, headers=headers)

    async def page(self, path="/api/v1/logs", **parameters):
        """The JSON of a response that must be 200."""
        response = await self.get(path, **parameters)
        assert response.status == 200, await response.text()
        return await response.json()

    async def walk(self, **parameters):
        """All records of all pages."""
        found, cursor = [], {}
        while True:
            page = await self.page(**parameters, **cursor)
            found += page["data"]
            if page["nextCursor"] is None:
                return found
            cursor = {"cursor": page["nextCursor"]}


@dataclass
class Switches:
    """Faults that a test can switch on."""

    audit_fails: bool = False


@contextlib.asynccontextmanager
async def query_server(
    dsn,
    reader_pool,
    *,
    settings=None,
    now_ns=time.time_ns,
    checks=None,
    spools=None,
    packs=None,
):
    """The query server on a database."""
    catalogue, batches = Catalogue(dsn), Batches(dsn)
    ends = SessionEnds(dsn)
    following = asyncio.gather(catalogue.run(), batches.run(), ends.run())
    changes = await open_pool(dsn, DatabaseRole.OWNER, size=2)
    lookups = await open_pool(dsn, DatabaseRole.READER, size=2, keeps_plans=True)
    await catalogue.refresh()
    accesses, switches = [], Switches()

    async def keep(event):
        if switches.audit_fails:
            raise Unavailable("the spool is full")
        accesses.append(event)

    app = build_app(
        settings or Settings(),
        Dependencies(
            pool=reader_pool,
            lookups=lookups,
            catalogue=catalogue,
            token_keys={KEY_ID: public_pem(OWN_KEY)},
            cursor_key=CURSOR_KEY,
            session_ends=ends,
            keep_access=keep,
            redact=lambda text: text.replace("hunter2", "[REDACTED]"),
            stored_as=lambda name, value: f"hmac:{name}" if "@" in value else value,
            notifications=batches,
            changes=changes,
            spools=spools or Path("/nonexistent"),
            preview_redaction=redactor().test,
            checks=checks or {},
            packs=packs or (packing and packing.store),
            version="1.2.3",
            now_ns=now_ns,
        ),
    )
    # As opslog/wiring/query.py serves it.
    settled = TestServer(app)
    await settled.start_server(max_line_size=MAX_LINE_BYTES)
    async with TestClient(settled) as client:
        yield QueryServer(client, catalogue, accesses, switches, dsn)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await changes.close()
    await lookups.close()
