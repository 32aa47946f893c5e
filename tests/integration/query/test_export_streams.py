"""Exports as streams: complete in pieces, aborted on errors, slow readers, safe CSV."""

import asyncio
import csv
import io
import json

import aiohttp
import pytest

from tests.integration.query.test_concurrency import until
from tests.integration.query.test_search import record


async def test_ndjson_export_is_what_search_shows_line_by_line(store, server):
    for number in range(30):
        await store.put(record(number, level=number % 5, message=f"m\n{number}"))
    await store.roll("info")
    await server.catalogue.refresh()

    response = await server.get("/api/v1/logs/export", minLevel="INFO")

    text = await response.text()
    assert response.content_type == "application/x-ndjson"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="opslog-2')
    lines = [json.loads(line) for line in text.splitlines()]
    searched = (await server.page(minLevel="INFO"))["data"]
    assert sorted(lines, key=lambda r: r["id"]) == sorted(searched, key=lambda r: r["id"])
    assert len(lines) == 24


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_exports_of_many_pieces_hold_every_record_once(
    store, server, piece, order, monkeypatch
):
    monkeypatch.setattr("query.planning.export.PIECE_ROWS", piece)
    for number in range(7):
        await store.put(*[record(k % 2, message=f"{number}.{k}") for k in range(3)])

    for name in ("ndjson", "json"):
        response = await server.get("/api/v1/logs/export", order=order, format=name)
        text = await response.text()
        found = json.loads(text) if name == "json" else [json.loads(x) for x in text.splitlines()]
        assert len(found) == len({item["message"] for item in found}) == 21
        ordered = sorted(found, key=lambda r: r["createdAt"], reverse=order == "desc")
        assert [r["createdAt"] for r in found] == [r["createdAt"] for r in ordered]


async def test_an_export_of_nothing_is_an_empty_document(server):
    assert await (await server.get("/api/v1/logs/export")).text() == ""
    assert await (await server.get("/api/v1/logs/export", format="json")).text() == "[]\n"
    text = await (await server.get("/api/v1/logs/export", format="csv")).text()
    assert text.startswith("createdAt,")
    assert text.count("\r\n") == 1


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "=\"'", "plain", "a,b", 'a"b']


async def test_csv_is_safe_to_open_in_a_spreadsheet(store, server):
    for number, text in enumerate(FORMULAS):
        await store.put(record(number, message=text, actor_id=text))

    response = await server.get("/api/v1/logs/export", format="csv", order="asc")

    rows = list(csv.DictReader(io.StringIO(await response.text(), newline="")))
    expected = [f"'{text}" if text[0] in "=+-@\t\r\n" else text for text in FORMULAS]
    assert [row["message"] for row in rows] == expected
    assert [row["actorId"] for row in rows] == expected
    assert rows[0]["createdAt"] == "2026-09-21T14:13:20.123000000Z"
    assert json.loads(rows[0]["resource"]) == {"service.name": "checkout"}


async def test_an_export_that_breaks_off_does_not_look_whole(store, server, monkeypatch):
    monkeypatch.setattr("query.planning.export.PIECE_ROWS", 2)
    await store.put(*[record(n) for n in range(10)])
    from query.planning.export import Export
    from storage.errors import DatabaseUnavailable

    whole = Export._segment

    async def breaks(self, *given):
        async for piece in whole(self, *given):
            yield piece
            raise DatabaseUnavailable("gone")

    monkeypatch.setattr(Export, "_segment", breaks)
    response = await server.get("/api/v1/logs/export")

    assert response.status == 200
    with pytest.raises(aiohttp.ClientError):
        await response.read()
    await until(
        lambda: asyncio.sleep(0, [e.error for e in server.accesses] == ["", "database_unavailable"])
    )


async def test_a_slow_reader_of_an_export_holds_no_connection(store, server, reader_pool):
    message = "x" * 20_000
    for _ in range(10):
        await store.put(*[record(n, message=message) for n in range(100)])

    response = await server.get("/api/v1/logs/export")
    await response.content.readline()

    async def idle():
        return reader_pool.get_idle_size() == reader_pool.get_size()

    await until(idle)
    assert (await server.get("/api/v1/logs")).status == 200
    response.close()
