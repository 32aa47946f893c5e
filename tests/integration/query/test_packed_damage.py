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
from storage.packs.store import PackStore
from storage.packs.writer import PackWriter
from tests.integration.query.test_packed import files_of, fill

pytestmark = pytest.mark.leaves_only


def replace(path, data: bytes) -> None:
    """Another file in the place of this one."""
    path.unlink()
    path.write_bytes(data)


def flip(path, at: int, bit: int = 3) -> None:
    """Another file with one bit flipped."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    replace(path, bytes(data))


def of_column(path, name: str) -> int:
    """A place in the page of a column of the first block."""
    opened = PackStore(path.parent.parent).read("warn", int(path.stem))
    number = [spec.name for spec in opened.plan.columns].index(name)
    return int(opened.blocks[0]["at"]) + int(opened._pages[0][number]["at"]) + 2


def of_section(path, name: str) -> int:
    """A place in a section of the index."""
    opened = PackStore(path.parent.parent).read("warn", int(path.stem))
    return opened.index.header["sections"][name][0] + 1


def older(path, folder) -> None:
    """A valid pack of the same segment that lacks a row."""
    rows, nonces = PackStore(path.parent.parent).read("warn", int(path.stem)).tuples(0)
    writer = PackWriter(folder, int(path.stem), "warn", lambda _: {})
    writer.add(rows[1:], nonces[1:])
    writer.finish()
    for ending in ("parquet", "idx"):
        replace(path.with_suffix(f".{ending}"), (folder / f"{path.stem}.{ending}").read_bytes())


def spoil(how: str, path, other, folder) -> None:
    """Damage a pack; `other` is another one of its class."""
    data, index = path, path.with_suffix(".idx")
    size = data.stat().st_size
    match how:
        case "deleted":
            data.unlink()
        case "without index":
            index.unlink()
        case "truncated":
            replace(data, data.read_bytes()[:-100])
        case "empty":
            replace(data, b"")
        case "index truncated":
            replace(index, index.read_bytes()[:-1])
        case "bit of the rows":
            flip(data, of_column(path, "message"))
        case "bit of the times":
            flip(data, of_column(path, "created_at"))
        case "bit of the footer":
            flip(data, size - 200)
        case "bit of the footer's size":
            flip(data, size - 8)
        case "bit of the index's header":
            flip(index, 40)
        case "bit of the index's size":
            flip(index, 12)
        case "bit of the index's blocks":
            flip(index, of_section(path, "blocks"))
        case "bit of the index's pages":
            flip(index, of_section(path, "pages"))
        case "an older one":
            older(path, folder)
        case "another segment":
            for mine, theirs in ((data, other), (index, other.with_suffix(".idx"))):
                replace(mine, theirs.read_bytes())
        case "data of another segment":
            replace(data, other.read_bytes())
        case "index of another segment":
            replace(index, other.with_suffix(".idx").read_bytes())


WAYS = [
    *("deleted", "without index", "truncated", "empty", "index truncated"),
    *("bit of the rows", "bit of the times", "bit of the footer", "bit of the footer's size"),
    *("bit of the index's header", "bit of the index's size", "bit of the index's blocks"),
    *("bit of the index's pages", "an older one", "another segment"),
    *("data of another segment", "index of another segment"),
]


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
