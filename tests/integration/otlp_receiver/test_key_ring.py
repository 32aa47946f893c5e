"""The key ring during changes of the table, and during outages of PostgreSQL."""

import asyncio
import stat
from datetime import UTC, datetime, timedelta

import pytest

from otlp_receiver.admission import keys as keys_module
from otlp_receiver.admission.keys import KEYLESS, KeyRing
from otlp_receiver.errors import KeyMissing, KeyRejected, KeysUnknown
from storage.access.ingest_keys import KeyTerms, create, list_keys, revoke, rotate
from storage.database.pool import DatabaseRole, connect, open_pool
from tests.support.databases import fresh_database, make_template
from tests.support.waiting import running, until


@pytest.fixture
async def owner(database):
    """A connection that creates keys."""
    conn = await connect(database.dsn, DatabaseRole.OWNER)
    yield conn
    await conn.close()


@pytest.fixture
def snapshot(tmp_path):
    """Path of the ring's file."""
    return tmp_path / "keys.json"


@pytest.fixture
async def ring(writer_pool, snapshot):
    """A ring that follows the table."""
    ring = KeyRing(required=True, snapshot=snapshot)
    async with running(ring.run(writer_pool)):
        await until(lambda: ring.refreshed_s is not None)
        yield ring


def bearer(secret):
    """The Authorization header of a sender."""
    return f"Bearer {secret}"


def is_accepted(ring, secret):
    """Whether the ring accepts the key."""
    try:
        ring.check(bearer(secret))
    except KeyRejected:
        return False
    return True


def is_accepted_if_known(ring, secret):
    """Like is_accepted, for a ring without a first refresh."""
    return ring.refreshed_s is not None and is_accepted(ring, secret)


async def test_a_new_key_is_accepted_immediately(ring, owner):
    """By NOTIFY, before the next poll."""
    issued = await create(owner, "shop", made_by="test", terms=KeyTerms(attributes={"team": "a"}))

    await until(lambda: is_accepted(ring, issued.secret), within_s=1)

    info = ring.check(bearer(issued.secret))
    assert (info.id, info.name) == (issued.key.id, "shop")
    assert info.attributes == (("team", "a"),)


async def test_a_revoked_key_is_rejected_within_a_second(ring, owner):
    """The guarantee is 5 s."""
    issued = await create(owner, "shop", made_by="test")
    await until(lambda: is_accepted(ring, issued.secret))

    await revoke(owner, "shop")

    await until(lambda: not is_accepted(ring, issued.secret), within_s=1)


async def test_a_change_without_notify_is_found_by_polling(ring, owner):
    """A manual UPDATE, or a NOTIFY lost in a pooler."""
    issued = await create(owner, "shop", made_by="test")
    await until(lambda: is_accepted(ring, issued.secret))

    await owner.execute("UPDATE ingest_keys SET revoked_at = now()")

    await until(lambda: not is_accepted(ring, issued.secret), within_s=4)


async def test_the_old_key_expires_with_its_grace_period_without_a_notification(ring, owner):
    """The ring checks the time itself."""
    old = await create(owner, "shop", made_by="test")
    new = await rotate(owner, "shop", made_by="test", grace=timedelta(seconds=1))
    await until(lambda: is_accepted(ring, new.secret))

    assert is_accepted(ring, old.secret)
    await until(lambda: not is_accepted(ring, old.secret), within_s=3)
    assert is_accepted(ring, new.secret)


async def test_the_snapshot_lets_the_next_process_check_without_the_database(ring, owner, snapshot):
    """PostgreSQL may be unavailable for days."""
    terms = KeyTerms(attributes={"a": "b"}, expires_at=datetime.now(UTC) + timedelta(days=1))
    issued = await create(owner, "shop", made_by="test", terms=terms)
    await until(lambda: snapshot.exists() and issued.key.name in snapshot.read_text())

    later = KeyRing(required=True, snapshot=snapshot)
    later.load_snapshot()

    assert later.check(bearer(issued.secret)) == ring.check(bearer(issued.secret))
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o600
    assert issued.secret not in snapshot.read_text()
    assert list(snapshot.parent.iterdir()) == [snapshot]


async def test_the_last_use_is_written_in_the_background(ring, owner):
    """The first use by the next poll, so that it is visible soon after a test."""
    issued = await create(owner, "shop", made_by="test")
    await until(lambda: is_accepted(ring, issued.secret))

    async def is_noted():
        return (await list_keys(owner))[0].last_used_at

    await until(is_noted, within_s=keys_module.POLL_S + 3)


async def test_the_use_of_a_busy_key_is_written_once_a_minute(ring, owner, monkeypatch):
    """Not with each poll or request."""
    written = []

    async def note(_, used_at):
        written.append(used_at)

    monkeypatch.setattr(keys_module, "note_use", note)
    monkeypatch.setattr(keys_module, "POLL_S", 0.02)
    issued = await create(owner, "shop", made_by="test")
    await until(lambda: is_accepted(ring, issued.secret) and written)

    for _ in range(40):
        assert is_accepted(ring, issued.secret)
        await asyncio.sleep(0.01)

    assert [list(used) for used in written] == [[issued.key.id]]


@pytest.fixture
def durable_database(durable_postgres):
    """A migrated database on a separate server."""
    with fresh_database(durable_postgres.dsn, make_template(durable_postgres.dsn)) as database:
        yield database


async def test_the_ring_survives_an_outage_of_postgresql(
    durable_postgres, durable_database, snapshot, monkeypatch
):
    """Keys are checked from memory, and changes are loaded afterwards."""
    monkeypatch.setattr(keys_module, "_RETRY_S", 0.05)
    owner = await connect(durable_database.dsn, DatabaseRole.OWNER)
    issued = await create(owner, "shop", made_by="test")
    pool = await open_pool(durable_database.dsn, DatabaseRole.WRITER, size=1)
    ring = KeyRing(required=True, snapshot=snapshot)
    async with pool, running(ring.run(pool)):
        await until(lambda: is_accepted_if_known(ring, issued.secret))

        durable_postgres.kill()
        assert is_accepted(ring, issued.secret)
        durable_postgres.start()

        seen_s = ring.refreshed_s
        await until(lambda: ring.refreshed_s > seen_s, within_s=30)
        assert is_accepted(ring, issued.secret)


def test_without_loaded_keys_every_key_gets_503():
    """Not 401: the key may be valid, and 401 would lose the batch."""
    ring = KeyRing(required=True)

    with pytest.raises(KeysUnknown):
        ring.check(bearer("opslog_" + "a" * 40))
    with pytest.raises(KeyMissing):
        ring.check(None)


@pytest.mark.parametrize("header", [None, "", "Bearer another-backend", "Basic YTpi", "Bearer"])
def test_where_no_key_is_required_foreign_credentials_are_ignored(header):
    """An SDK may send another backend's token."""
    assert KeyRing(required=False).check(header) == KEYLESS
