"""The copy of the catalogue: complete, quickly up to date, and aware of when it is not."""

from datetime import UTC, datetime

import asyncpg
import pytest

from storage.errors import DatabaseUnavailable
from storage.segments import catalogue as catalogue_module
from storage.segments.catalogue import Catalogue
from tests.support.stored_rows import store
from tests.support.waiting import running, until


def states(catalogue: Catalogue) -> list[tuple[str, str]]:
    """Class and state of each segment, by number."""
    return [(segment.class_name, segment.state) for segment in catalogue.segments()]


async def test_it_is_empty_before_the_first_refresh(database) -> None:
    catalogue = Catalogue(database.dsn)

    assert catalogue.segments() == ()
    assert catalogue.age_s is None


async def test_a_notified_change_is_seen_before_the_next_refresh(database, writer_pool) -> None:
    catalogue = Catalogue(database.dsn, refresh_every_s=3600)
    async with running(catalogue.run()), writer_pool.acquire() as conn:
        await until(lambda: catalogue.age_s is not None)

        number = await store(conn, "info", 1)
        await until(lambda: states(catalogue) == [("info", "open")])
        await conn.execute("SELECT opslog_roll_segment('info', $1)", number)
        await until(lambda: states(catalogue) == [("info", "closed"), ("info", "open")])


async def test_a_change_without_a_notification_is_seen_at_the_next_refresh(
    database, owner_pool, writer_pool
) -> None:
    async with writer_pool.acquire() as conn:
        await store(conn, "info", 1)
    catalogue = Catalogue(database.dsn, refresh_every_s=0.01)
    async with running(catalogue.run()):
        await until(catalogue.segments)
        conn = await asyncpg.connect(database.dsn)
        await conn.execute("ALTER TABLE segments DISABLE TRIGGER tell_catalogue")
        await conn.execute("UPDATE segments SET state = 'dropped'")
        await conn.close()

        await until(lambda: catalogue.segments() == ())


async def test_a_refresh_sees_what_was_committed_before_it(database, writer_pool) -> None:
    catalogue = Catalogue(database.dsn, refresh_every_s=3600)
    async with running(catalogue.run()), writer_pool.acquire() as conn:
        for class_name in ("debug", "info", "warn", "error", "critical"):
            await store(conn, class_name, 1)
            await catalogue.refresh()
            assert (class_name, "open") in states(catalogue)


async def test_an_open_segment_has_an_estimate_and_a_closed_one_its_totals(
    database, writer_pool
) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    catalogue = Catalogue(database.dsn, refresh_every_s=3600)
    async with running(catalogue.run()), writer_pool.acquire() as conn:
        number = await store(conn, "info", 7, received_at=at)
        await catalogue.refresh()
        (segment,) = catalogue.segments()
        assert (segment.number, segment.rows, segment.rows_estimate) == (number, None, 7)
        assert (segment.bytes_estimate, segment.min_created_at) == (3500, None)

        await conn.execute("SELECT opslog_roll_segment('info', $1)", number)
        await conn.execute("SELECT opslog_settle_segments()")
        await catalogue.refresh()

        segment = catalogue.segments()[0]
        assert (segment.rows, segment.rows_estimate, segment.odd_times) == (7, 7, 0)
        assert segment.min_created_at == segment.min_received_at == at


async def test_it_continues_after_a_lost_connection(database, writer_pool) -> None:
    catalogue = Catalogue(database.dsn, refresh_every_s=3600)
    async with running(catalogue.run()), writer_pool.acquire() as conn:
        await until(lambda: catalogue.age_s is not None)
        killer = await asyncpg.connect(database.dsn)
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'opslog-catalogue' AND datname = current_database()"
        )
        await killer.close()
        await store(conn, "info", 1)

        await until(lambda: states(catalogue) == [("info", "open")])
        assert catalogue.problem == ""


async def test_a_refresh_without_a_database_fails_quickly(monkeypatch) -> None:
    monkeypatch.setattr(catalogue_module, "REFRESH_TIMEOUT_S", 0.1)
    catalogue = Catalogue("postgresql://opslog@/opslog?host=/nonexistent")
    async with running(catalogue.run()):
        with pytest.raises(DatabaseUnavailable, match=r"within 0\.1 s"):
            await catalogue.refresh()
        assert "FileNotFoundError" in catalogue.problem
