"""Queries made to cost as much as possible: bounded in time and memory, and others are served."""

import asyncio
from pathlib import Path

import pytest

from config.settings import ApiSettings, Settings
from tests.integration.query.test_search import record
from tests.support.querying import Packing, make_token, query_server

pytestmark = pytest.mark.leaves_only

ROWS, SEGMENTS = 2_000, 5
LIMIT_S = 2.0
SINCE = {"start": "2026-09-01T00:00:00Z"}
MOST_GROWTH_BYTES = 150 * 2**20


def either(terms):
    return {"q": " OR ".join(terms), **SINCE}


HOSTILE = {
    "a regex over everything": {"q": "/(.*a.*b.*c.*|[a-z ]{20,}x$)/", **SINCE},
    "a regex over attributes": {"q": "text:/.*(s|a).*q$/", **SINCE},
    "two hundred terms": either(f"zz{n}" for n in range(200)),
    "two hundred terms at once": {"q": " ".join(f"-zz{n}" for n in range(200)), **SINCE},
    "ten thousand days": {"start": "2000-01-01T00:00:00Z", "end": "2027-05-19T00:00:00Z"},
    "a prefix of one letter": {"q": "z*", **SINCE},
    "a prefix of an attribute": {"q": "text:z*", **SINCE},
    "fifty values of a parameter": {"actorId": [f"nobody-{n}" for n in range(50)]},
    "alternatives of a field": either(f"actorId:x{n}" for n in range(120)),
}
REFUSED = {
    "two hundred and one terms": {"q": "a " * 201},
    "a thousand values of a parameter": {"actorId": [f"nobody-{n}" for n in range(1000)]},
    "fifty-one values": {"actorId": [f"nobody-{n}" for n in range(51)]},
    "ten thousand days by the second": {
        "start": "2000-01-01T00:00:00Z",
        "end": "2027-05-19T00:00:00Z",
        "interval": "1s",
    },
}
OUT_OF_TIME = {"/errors/query_timeout", "/errors/database_busy"}
ROUTES = ("/api/v1/logs", "/api/v1/logs/stats", "/api/v1/logs/facets", "/api/v1/logs/patterns")


@pytest.fixture
async def filled(store, database, reader_pool, owner_pool, tmp_path):
    """A server with packed and open segments, and queries that may run for a second."""
    packing = Packing(tmp_path / "packed")
    for number in range(SEGMENTS):
        base = number * ROWS
        await store.put(*(_record(base + n) for n in range(ROWS)))
        if number < SEGMENTS - 1:
            async with owner_pool.acquire() as owner:
                assert await packing.pack(owner)
    api = ApiSettings(user_concurrency=40, statement_timeout_s=LIMIT_S)
    async with query_server(
        database.dsn, reader_pool, packs=packing.store, settings=Settings(api=api)
    ) as running:
        yield running


def _record(number):
    text = f"abc request {number} of the shop was paid with a token and sent at once"
    metadata = f'{{"attributes": {{"text": "some words {number} of an attribute"}}}}'
    return record(
        number * 1000, message=text, actor_id=f"u{number % 97}", metadata=metadata.encode()
    )


def peak_bytes():
    """The most memory of this process since `reset_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def reset_peak():
    Path("/proc/self/clear_refs").write_text("5")


async def test_hostile_queries_are_bounded_and_others_are_served(filled):
    """Alone each has a result; sixteen at a time end in time, and others do not notice."""
    server = filled
    greedy, modest = make_token("NOC", sub="greedy"), make_token("NOC", sub="modest")
    wanted = await server.page(limit=3, token=modest)
    for name, parameters in HOSTILE.items():
        for route in ROUTES:
            alone = await server.get(route, token=greedy, **parameters)
            assert alone.status == 200, (name, route, await alone.text())
        reset_peak()
        before = peak_bytes()
        crowd = [
            asyncio.create_task(server.get(route, token=greedy, **parameters))
            for route in ROUTES
            for _ in range(4)
        ]
        is_served = False
        async with asyncio.timeout(60):
            while not is_served or not all(task.done() for task in crowd):
                page = await server.page(limit=3, token=modest)
                assert page["data"] == wanted["data"], name
                is_served = True
        for task in crowd:
            assert await ends(task), name
        assert peak_bytes() - before < MOST_GROWTH_BYTES, name


async def ends(request):
    """Whether there is a result, if only a partial one, or the message that time is over."""
    response = await request
    body = await response.json()
    return response.status == 200 or body["type"] in OUT_OF_TIME


@pytest.mark.parametrize("name", REFUSED)
async def test_queries_beyond_the_limits_are_refused_with_their_parameter(server, name):
    parameters = REFUSED[name]
    route = "/api/v1/logs/stats" if "interval" in parameters else "/api/v1/logs"

    response = await server.get(route, **parameters)

    assert response.status == 400
    assert (await response.json())["errors"][0]["parameter"] in parameters
