"""Ingest keys in the database: shown once, limited by their terms, revocable."""

from datetime import UTC, datetime, timedelta

import pytest

from config.levels import Level
from storage.access.ingest_keys import (
    DEFAULT_RIGHTS,
    KeyNameTaken,
    KeyRefused,
    KeyTerms,
    KeyUnknown,
    create,
    digest_of,
    keys_in_force,
    list_keys,
    note_use,
    revoke,
    rotate,
)
from storage.database.pool import DatabaseRole, connect

NOW = datetime.now(UTC)


@pytest.fixture
async def conn(database):
    """A connection as the owner."""
    conn = await connect(database.dsn, DatabaseRole.OWNER)
    yield conn
    await conn.close()


async def test_a_key_is_40_characters_of_base62_after_its_prefix(conn):
    """The form that secret scanners look for."""
    issued = await create(conn, "shop", made_by="test")

    assert issued.secret.startswith("opslog_")
    assert len(issued.secret) == 47
    assert issued.secret[7:].isalnum()
    assert issued.secret[7:].isascii()


async def test_the_key_itself_is_nowhere_in_the_database(conn):
    """Only its hash is, and the hint to tell keys apart."""
    issued = await create(conn, "shop", made_by="test")

    row = await conn.fetchrow("SELECT * FROM ingest_keys")
    assert issued.secret not in str(dict(row))
    assert row["key_hash"] == digest_of(issued.secret)
    assert row["hint"] == issued.secret[:12] == issued.key.hint


async def test_the_key_is_not_in_any_repr(conn):
    """An accidental log line of the object shows nothing."""
    issued = await create(conn, "shop", made_by="test")

    assert issued.secret not in repr(issued)


async def test_terms_are_stored_unchanged(conn):
    """Attributes, level, rights, end and rates are stored whole."""
    terms = KeyTerms(
        rights=("traces", "audit"),
        attributes={"deployment.environment": "prod", "n": 1, "deep": {"a": [1, None]}},
        min_level=Level.WARN,
        expires_at=NOW + timedelta(days=1),
        records_per_s=100,
        bytes_per_s=10**10,
    )

    issued = await create(conn, "shop", made_by="test", terms=terms)

    assert issued.key.terms == terms
    assert (await list_keys(conn))[0].terms == terms
    assert (await keys_in_force(conn))[0].terms == terms


async def test_a_name_is_taken_while_its_key_is_valid(conn):
    """Two keys of one name would be mixed up when one is revoked."""
    await create(conn, "shop", made_by="test")

    with pytest.raises(KeyNameTaken):
        await create(conn, "shop", made_by="test")


async def test_an_expired_key_releases_its_name(conn):
    """An expired key need not be revoked."""
    expired = KeyTerms(expires_at=NOW - timedelta(seconds=1))
    await create(conn, "shop", made_by="test", terms=expired)

    await create(conn, "shop", made_by="test")

    assert len(await list_keys(conn)) == 1
    assert len(await list_keys(conn, with_revoked=True)) == 2


async def test_both_keys_are_valid_during_the_grace_period_of_a_rotation(conn):
    """Senders can be changed one after the other."""
    old = await create(conn, "shop", made_by="test", terms=KeyTerms(records_per_s=5))

    new = await rotate(conn, "shop", made_by="test", grace=timedelta(hours=1))

    assert {key.digest for key in await keys_in_force(conn)} == {
        digest_of(old.secret),
        digest_of(new.secret),
    }
    assert new.key.rotated_from == old.key.id
    assert new.key.terms == old.key.terms


async def test_a_rotation_without_grace_ends_the_old_key_at_once(conn):
    """For a key that has leaked."""
    await create(conn, "shop", made_by="test")

    new = await rotate(conn, "shop", made_by="test", grace=timedelta(0))

    assert [key.digest for key in await keys_in_force(conn)] == [digest_of(new.secret)]


async def test_revoking_also_ends_a_key_in_its_grace_period(conn):
    """Revoking a name ends all of its keys."""
    await create(conn, "shop", made_by="test")
    await rotate(conn, "shop", made_by="test")

    assert await revoke(conn, "shop") == 2
    assert await keys_in_force(conn) == []


async def test_unknown_keys_are_reported(conn):
    """A typo must not look like a revocation."""
    with pytest.raises(KeyUnknown):
        await revoke(conn, "shop")
    with pytest.raises(KeyUnknown):
        await rotate(conn, "shop", made_by="test")


async def test_last_use_never_moves_back(conn):
    """Two receivers write it, in any order."""
    key = (await create(conn, "shop", made_by="test")).key

    await note_use(conn, {key.id: NOW})
    await note_use(conn, {key.id: NOW - timedelta(minutes=5)})

    assert (await list_keys(conn))[0].last_used_at == NOW


@pytest.mark.parametrize("name", ["", "a" * 101, "line\nbreak", "nul\0"])
async def test_names_are_printable_and_short(conn, name):
    """They are shown in tables and logs."""
    with pytest.raises(KeyRefused):
        await create(conn, name, made_by="test")


@pytest.mark.parametrize(
    "terms",
    [
        {"rights": ()},
        {"rights": ("metrics",)},
        {"records_per_s": 0},
        {"bytes_per_s": -1},
        {"expires_at": datetime(2026, 1, 1)},  # noqa: DTZ001 -- that is the point
    ],
)
def test_invalid_terms_are_rejected(terms):
    """Before anything is written."""
    with pytest.raises(KeyRefused):
        KeyTerms(**terms)


async def test_the_writer_can_follow_the_keys_and_note_their_use(database, conn):
    """Receivers have the role opslog_writer, which can do no more than that."""
    key = (await create(conn, "shop", made_by="test")).key
    writer = await connect(database.dsn, DatabaseRole.WRITER)

    assert (await keys_in_force(writer))[0].terms.rights == DEFAULT_RIGHTS
    await note_use(writer, {key.id: NOW})
    with pytest.raises(Exception, match="permission denied"):
        await revoke(writer, "shop")

    await writer.close()


async def test_the_reader_can_list_keys_without_their_hashes(database, conn):
    """The query server shows keys and cannot leak a hash."""
    await create(conn, "shop", made_by="test")
    reader = await connect(database.dsn, DatabaseRole.READER)

    assert (await list_keys(reader))[0].name == "shop"
    with pytest.raises(Exception, match="permission denied"):
        await keys_in_force(reader)

    await reader.close()
