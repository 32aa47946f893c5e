"""Where packs lie: the marker, the wrong folder, no folder at all."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings, StorageSettings
from retention.expiry.run import expire
from retention.packing.places import NOT_SET, problem_with_packs, store_to_write
from storage.packs.store import MARKER, PackStore, PacksUnavailable, store_at
from tests.integration.retention.test_expiry import ago, closed, states
from tests.support.packing import pack

NOWHERE = Settings(database_url=SecretStr("postgresql://somewhere/opslog"))


def at(folder: Path) -> Settings:
    """Settings with the packs there."""
    return Settings(storage=StorageSettings(packs_dir=folder))


async def problem(pool, settings: Settings) -> str:
    """What a process says."""
    async with pool.acquire() as conn:
        return await problem_with_packs(conn, settings)


def test_with_the_embedded_postgresql_they_are_in_the_data_directory() -> None:
    assert Settings(data_dir=Path("/var/lib/opslog")).packs_dir == Path("/var/lib/opslog/packs")
    assert NOWHERE.packs_dir is None
    assert at(Path("/srv/packs")).packs_dir == Path("/srv/packs")


async def test_without_a_folder_nothing_is_packed_and_expiry_works(
    database, owner_pool, reader_pool, writer_pool
):
    due = await closed(writer_pool, level=0, at=ago(days=8))
    stays = await closed(writer_pool, level=1, at=ago(days=8))

    done = await pack(database, NOWHERE)
    report = await expire(database.dsn, NOWHERE, trigger="test")

    assert (done.segments, done.note) == (0, NOT_SET)
    assert NOT_SET == "storage.packs_dir is not set"
    assert await problem(reader_pool, NOWHERE) == NOT_SET
    assert report.outcome == "done"
    now = await states(owner_pool)
    assert (now[due], now[stays]) == ("dropped", "closed")


async def test_the_first_packing_makes_the_folder_with_its_marker(
    database, owner_pool, reader_pool, writer_pool, tmp_path
):
    settings = at(tmp_path / "deep" / "packs")
    await closed(writer_pool, at=ago(days=1))
    assert await problem(reader_pool, settings) == ""

    assert (await pack(database, settings)).segments == 1

    marker = tmp_path / "deep" / "packs" / MARKER
    number = await owner_pool.fetchval("SELECT installation_id::text FROM installation")
    assert json.loads(marker.read_text()) == {"installation": number, "format": 1}
    assert marker.stat().st_mode & 0o777 == 0o440
    assert marker.parent.stat().st_mode & 0o777 == 0o700
    assert await problem(reader_pool, settings) == ""


async def test_an_empty_folder_later_on_is_a_disk_that_is_not_mounted(
    database, owner_pool, reader_pool, writer_pool, tmp_path
):
    segment = await closed(writer_pool, at=ago(days=1))
    await pack(database, at(tmp_path / "packs"))
    other = await closed(writer_pool, at=ago(days=1))
    elsewhere = at(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()

    done = await pack(database, elsewhere)

    assert done.segments == 0
    assert "is it mounted?" in done.note
    assert "is it mounted?" in await problem(reader_pool, elsewhere)
    now = await states(owner_pool)
    assert (now[segment], now[other]) == ("packed", "closed")
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_files_are_removed_later_when_the_folder_was_not_mounted(
    database, owner_pool, writer_pool, tmp_path
):
    segment = await closed(writer_pool, level=0, at=ago(days=8))
    folder, away = tmp_path / "packs", tmp_path / "away"
    await pack(database, at(folder))
    folder.rename(away)
    folder.mkdir()

    assert (await expire(database.dsn, at(folder), trigger="test")).segments == 1
    folder.rmdir()
    away.rename(folder)
    assert (folder / "debug" / f"{segment}.parquet").exists()
    await expire(database.dsn, at(folder), trigger="test")

    assert not (folder / "debug" / f"{segment}.parquet").exists()


async def test_a_folder_of_another_installation_is_refused(
    database, owner_pool, writer_pool, tmp_path
):
    PackStore(tmp_path / "packs").prepare("f3b7c1de-0000-4000-8000-000000000000")
    await closed(writer_pool, at=ago(days=1))

    done = await pack(database, at(tmp_path / "packs"))

    assert "belongs to another installation" in done.note
    store_at.cache_clear()
    async with owner_pool.acquire() as conn:
        with pytest.raises(PacksUnavailable):
            await store_to_write(conn, at(tmp_path / "packs"))


async def test_a_folder_with_other_files_is_not_taken(database, writer_pool, tmp_path):
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "letter.txt").write_text("private")
    await closed(writer_pool, at=ago(days=1))

    assert MARKER in (await pack(database, at(tmp_path / "packs"))).note
