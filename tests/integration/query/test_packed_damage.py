"""Packs that are damaged or replaced: they cost their own rows, are named, and nothing else fails."""

import os

import pytest

from query.errors import SegmentsUnreadable
from query.planning.compile import Order
from query.planning.export import Export
from query.planning.packed.reading import PackReader
from query.planning.pages import Pages
from storage.database.read import Reader, Streams
from storage.filtering.filters import EVERYTHING
from tests.integration.query.test_packed import files_of, fill
from tests.support.pack_damage import WAYS, spoil

pytestmark = pytest.mark.leaves_only


@pytest.mark.parametrize("how", WAYS)
async def test_a_damaged_pack_costs_its_own_rows_and_is_named(  # noqa: PLR0917 - fixtures
    store,
    server,
    pack,
    packing,
    reader_pool,
    tmp_path,
    how,
):
    await fill(store, 6, rolls=2)
    await pack()
    await server.catalogue.refresh()
    bad, other = files_of(packing, "warn")
    spoil(how, bad, other, tmp_path)
    lost = {f"m0.{n}" for n in range(6) if n % 2}

    page = await server.page(limit=50)
    counted = await server.page("/api/v1/logs/stats", q="m", start="2026-09-01T00:00:00Z")

    assert {item["message"] for item in page["data"]} == {
        f"m{roll}.{n}" for roll in range(2) for n in range(6)
    } - lost
    assert page["nextCursor"] is None
    assert f"Segment {bad.stem} (warn)" in page["partial"]["detail"]
    assert (page["partial"]["segments"], page["partial"]["rows"]) == (1, 3)
    assert counted["total"] == 9
    assert f"Segment {bad.stem} (warn)" in counted["partial"]["detail"]
    assert "partial" not in await server.page(level="INFO")
    first = await server.page(limit=1, order="asc")
    assert first["data"]
    assert first["nextCursor"]

    pages = Pages(server.catalogue, PackReader(packing.store))
    export, rows = Export(Reader(reader_pool, limit_s=10), pages, Streams()), []

    async def exported():
        async for piece in export.pieces(EVERYTHING, Order.NEWEST):
            rows.extend(piece.rows)

    with pytest.raises(SegmentsUnreadable, match=bad.stem):
        await exported()
    assert len(rows) == 9


@pytest.mark.parametrize("ending", ["parquet", "idx"])
async def test_a_pack_that_is_cut_off_while_it_is_open_stops_nobody(
    store,
    server,
    pack,
    packing,
    ending,
):
    """In place: an access to a mapped page that is no longer there would kill the process."""
    await fill(store, 400, rolls=2)
    await pack()
    await server.catalogue.refresh()
    assert len((await server.page(limit=1000))["data"]) == 800
    bad = files_of(packing, "warn")[0].with_suffix(f".{ending}")
    bad.chmod(0o600)
    os.truncate(bad, 100)

    page = await server.page(limit=1000)

    assert len(page["data"]) == 600
    assert f"Segment {bad.stem} (warn)" in page["partial"]["detail"]


async def test_a_pack_that_is_restored_is_read_again(store, server, pack, packing):
    await fill(store, 6, rolls=1)
    await pack()
    await server.catalogue.refresh()
    (path,) = files_of(packing, "warn")
    data = path.read_bytes()
    path.unlink()
    assert "partial" in await server.page()

    path.write_bytes(data)

    page = await server.page()
    assert "partial" not in page
    assert len(page["data"]) == 6
