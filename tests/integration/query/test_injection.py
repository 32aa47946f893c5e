"""T27: injection payloads in every parameter of every route: values, never SQL."""

import asyncio
import itertools
from urllib.parse import quote

import pytest
from yarl import URL

from query.api.app import ROUTES
from query.language.filter_parameters import FILTERS
from storage.database.read import Session
from tests.integration.query.payloads import PAYLOADS
from tests.integration.query.test_search import record

VALUES = {"id": "019aa07e-5a4b-7000-8000-000000000000", "traceId": "4b" * 16, "name": "k"}
STREAMS = {"/api/v1/logs/tail"}
"""Streams without an end; its filters are those of the other routes."""
TEXTS = (
    *("sourceModule", "action", "resourceId", "resourceType", "actorId", "correlationId"),
    "attr.a'b",
)
"""Parameters that accept any text: they get a payload all at once."""
MARKS = ("pg_sleep", "drop table", "truncate", "/etc/passwd", "1=1", "union select", "set role")
"""Parts of payloads that occur in none of opslog's statements."""
AT_ONCE = 4


@pytest.fixture
def statements(monkeypatch):
    """SQL of all statements that were run."""
    seen: set[str] = set()
    rows = Session.rows

    def spying(self, statement, **more):
        seen.add(statement.text)
        return rows(self, statement, **more)

    monkeypatch.setattr(Session, "rows", spying)
    return seen


def names_of(route):
    """The parameters that a route accepts."""
    filters = [*FILTERS, "attr.a'b", "resource.a;b"] if route.parameters.takes_filters else []
    return [*route.parameters.controls, *filters]


def payload_requests(server):
    """Search gets each payload in each parameter; the others share its parser, and take turns."""
    for place, route in enumerate(server.client.app[ROUTES]):
        if route.parameters is None or route.path in STREAMS:
            continue
        path, names = route.path.format(**VALUES), names_of(route)
        if route.action == "logs.search":
            for payload in PAYLOADS:
                yield route.method, path, dict.fromkeys(TEXTS, payload)
                for name in names:
                    if name not in TEXTS:
                        yield route.method, path, {name: payload}
        else:
            for turn, payload in enumerate(PAYLOADS[place % 3 :: 3]):
                yield route.method, path, {names[(turn + place) % len(names)]: payload}


async def request_checked(server, method, path, params):
    """400 must name a parameter; 500 must never happen."""
    headers = {"Authorization": f"Bearer {server.token}"}
    async with server.client.request(method, path, params=params, headers=headers) as response:
        body = await response.read()
        assert response.status in {200, 400, 404, 409}, (path, params, body)
        if response.status == 400:
            assert b'"parameter":"' in body, (params, body)


async def request_all(server):
    """Send all with the concurrency that one client has; their number."""
    waiting, count = payload_requests(server), 0
    while several := list(itertools.islice(waiting, AT_ONCE)):
        await asyncio.gather(
            *(request_checked(server, *payload_request) for payload_request in several)
        )
        count += len(several)
    return count


async def counters(owner_pool):
    return [
        tuple(row)
        for row in await owner_pool.fetch(
            "SELECT (SELECT count(*) FROM system_logs), (SELECT count(*) FROM ingest_keys),"
            " (SELECT count(*) FROM pg_roles WHERE rolsuper), (SELECT count(*) FROM pg_class)"
        )
    ]


async def test_no_payload_in_any_parameter_is_more_than_a_value(
    store, server, owner_pool, statements
):
    await store.put(record(1, message="kept", actor_id="u"))
    before = await counters(owner_pool)

    count = await request_all(server)

    assert count > 15 * len(PAYLOADS) > 15 * 280
    text = "\n".join(statements).lower()
    assert [mark for mark in MARKS if mark in text] == []
    assert await counters(owner_pool) == before
    assert (await server.page())["data"][0]["message"] == "kept"


@pytest.mark.parametrize("path", ["/logs/{}", "/logs/actor/{}", "/logs/trace/{}", "/logs/{}/proof"])
async def test_no_payload_in_a_path_is_more_than_a_value(server, statements, path):
    for payload in PAYLOADS:
        address = URL("/api/v1" + path.format(quote(payload, safe="")), encoded=True)
        response = await server.client.get(
            address, headers={"Authorization": f"Bearer {server.token}"}
        )
        assert response.status in {200, 400, 404}, (payload, await response.text())
    text = "\n".join(statements).lower()
    assert [mark for mark in MARKS if mark in text] == []
