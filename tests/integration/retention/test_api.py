"""Retention through the API, with its permissions."""

import asyncio
from datetime import timedelta

import pytest

from config.settings import Settings
from query.planning.compile import Order
from query.planning.export import Export
from query.planning.pages import Pages
from retention.purging.execution import run_confirmed_purges
from storage.database.read import LeafGone, Reader, Streams
from storage.filtering.filters import EVERYTHING
from tests.integration.retention.test_expiry import ago, closed, run
from tests.support.keeping import close, keep
from tests.support.packing import count as stored_count
from tests.support.querying import make_token, query_server
from tests.support.records import make_record


@pytest.fixture
async def server(database, reader_pool):
    """Sends a token with every permission by default."""
    async with query_server(database.dsn, reader_pool) as running:
        yield running


async def call(server, method: str, path: str, *, role: str = "SUPER_ADMIN", json=None, **query):
    """Status and JSON of a request."""
    headers = {"Authorization": f"Bearer {make_token(role)}"}
    async with server.client.request(
        method, path, params=query, json=json, headers=headers
    ) as response:
        return response.status, await response.json()


async def test_the_plan_shows_what_expires_and_when(server, writer_pool):
    due = await closed(writer_pool, level=0, at=ago(days=8))
    later = await closed(writer_pool, level=3, at=ago(days=8))

    _, plan = await call(server, "GET", "/api/v1/retention/plan")

    assert [(step["segment"], step["isDue"]) for step in plan["data"]] == [
        (due, True),
        (later, False),
    ]
    assert (plan["rows"], plan["segments"]) == (20, 1)
    assert plan["data"][0]["class"] == "debug"
    assert plan["data"][1]["dueAt"].startswith(f"{ago(days=8) + timedelta(days=180):%Y-%m-%d}")


async def test_runs_are_shown_with_what_they_did(server, database, writer_pool):
    segment = await closed(writer_pool, level=0, at=ago(days=8))
    for _ in range(3):
        await run(database)

    _, runs = await call(server, "GET", "/api/v1/retention/runs")

    assert [entry["rows"] for entry in runs["data"]] == [0, 0, 20]
    (step,) = runs["data"][2]["steps"]
    assert (step["segment"], step["class"], step["rule"]) == (segment, "debug", "default")
    _, older = await call(
        server, "GET", "/api/v1/retention/runs", cursor=str(runs["data"][1]["id"])
    )
    assert [entry["id"] for entry in older["data"]] == [runs["data"][2]["id"]]


async def test_the_state_names_what_is_overdue_and_what_waits(server, writer_pool):
    await closed(writer_pool, level=0, at=ago(days=12))

    _, state = await call(server, "GET", "/api/v1/retention/status")

    debug = next(each for each in state["data"] if each["class"] == "debug")
    assert (debug["keep"], debug["overdue"], debug["rows"]) == ("7d", "71h", 20)
    assert state["backlog"]["rows"] == 20
    assert state["problems"] == ["class debug: records are 71 h overdue"]


async def test_segments_are_listed(server, writer_pool):
    segment = await closed(writer_pool, level=3, at=ago(days=8))

    _, rows = await call(server, "GET", "/api/v1/segments")

    row = next(each for each in rows["data"] if each["number"] == segment)
    assert (row["state"], row["rows"], row["class"]) == ("closed", 20, "error")
    assert row["minCreatedAt"] is not None


async def test_a_hold_is_made_seen_and_released(server, database, owner_pool, writer_pool):
    async with writer_pool.acquire() as conn:
        records = [make_record(level=0, actor_id=f"u-{n % 2}") for n in range(10)]
        await keep(conn, *records, at=ago(days=8))
        await close(conn, "debug")
    body = {"q": "actorId:u-1", "start": "2020-01-01T00:00:00Z", "reason": "case 7"}

    status, hold = await call(server, "POST", "/api/v1/holds", json=body)
    await run(database)
    kept = await stored_count(owner_pool)
    _, holds = await call(server, "GET", "/api/v1/holds")
    released, after = await call(server, "DELETE", f"/api/v1/holds/{hold['id']}", reason="settled")
    await run(database)

    assert (status, kept, released) == (201, 5, 200)
    assert holds["data"] == [hold]
    assert (hold["q"], hold["createdBy"]) == ("actorId:u-1 start=2020-01-01T00:00:00Z", "tester")
    assert after["releaseReason"] == "settled"
    assert not after["isActive"]
    assert await stored_count(owner_pool) == 0
    actions = [event.action for event in server.accesses]
    assert [name for name in actions if name.startswith("holds.")] == [
        "holds.add",
        "holds.list",
        "holds.release",
    ]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"q": "", "reason": "x"}, "q"),
        ({"q": "level:", "reason": "x"}, "q"),
        ({"q": "a", "reason": ""}, "reason"),
        ({"q": "a"}, "reason"),
        ({"filter": {}, "reason": "x"}, "q"),
        ({"filter": {"limit": "1"}, "reason": "x"}, "filter: Unknown parameter limit"),
        ({"filter": {"actorId": 7}, "reason": "x"}, "filter"),
        ({"q": "a", "reason": "x", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"q": "a", "reason": "x", "end": "soon"}, "end"),
    ],
)
async def test_a_hold_without_filter_or_reason_is_refused(server, body, where):
    status, problem = await call(server, "POST", "/api/v1/holds", json=body)

    assert status == 400
    assert where in str(problem)


async def test_a_hold_takes_the_filters_of_a_search(server):
    body = {"filter": {"sourceModule": ["a", "b"], "attr.order.id": "o-1"}, "reason": "case 7"}

    status, hold = await call(server, "POST", "/api/v1/holds", json=body)

    assert (status, hold["q"]) == (201, "sourceModule=a sourceModule=b attr.order.id=o-1")


async def test_a_time_alone_can_be_held(server):
    body = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z", "reason": "audit"}

    status, hold = await call(server, "POST", "/api/v1/holds", json=body)

    assert (status, hold["isActive"]) == (201, True)


@pytest.mark.parametrize("number", ["7", "x", "99999999999999"])
async def test_a_hold_that_is_not_there_is_not_released(server, number):
    status, problem = await call(server, "DELETE", f"/api/v1/holds/{number}")

    assert status == 404
    assert problem["type"].endswith("no_such_hold")


async def test_a_purge_needs_two_steps_and_is_done_before_the_response(
    server, database, owner_pool, writer_pool
):
    async with writer_pool.acquire() as conn:
        await keep(conn, *[make_record(actor_id=f"u-{n % 2}") for n in range(10)])
    query = {"q": "actorId:u-1", "start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}

    status, plan = await call(server, "DELETE", "/api/v1/logs/purge", **query)
    assert (status, plan["rows"], plan["heldRows"], plan["isDone"]) == (200, 5, 0, False)
    assert await stored_count(owner_pool) == 10

    async def work() -> None:
        while not await run_confirmed_purges(database.dsn, Settings()):
            await asyncio.sleep(0.05)

    working = asyncio.create_task(work())
    status, done = await call(server, "DELETE", "/api/v1/logs/purge", **query, token=plan["token"])
    await working

    assert (status, done["rows"], done["isDone"]) == (200, 5, True)
    assert (done["segments"], done["heldRows"], done["bytes"] > 0) == (1, 0, True)
    assert await stored_count(owner_pool) == 5
    status, _ = await call(server, "DELETE", "/api/v1/logs/purge", **query, token=plan["token"])
    assert status == 409


async def test_a_purge_without_a_worker_responds_that_it_continues(
    server, owner_pool, writer_pool, monkeypatch
):
    monkeypatch.setattr("query.api.operations.purge.WAIT_S", 0.1)
    async with writer_pool.acquire() as conn:
        await keep(conn, make_record(actor_id="u-1"))
    _, plan = await call(server, "DELETE", "/api/v1/logs/purge", q="actorId:u-1")

    status, response = await call(
        server, "DELETE", "/api/v1/logs/purge", q="actorId:u-1", token=plan["token"]
    )

    assert (status, response["isDone"], response["rows"]) == (202, False, 0)


@pytest.mark.parametrize("query", [{}, {"start": "-1d"}, {"kind": "log"}])
async def test_a_purge_without_a_filter_is_refused(server, query):
    status, problem = await call(server, "DELETE", "/api/v1/logs/purge", **query)

    assert status == 400
    assert problem["type"].endswith("filter_required")


WHO = [
    # (method, path, roles that may)
    ("GET", "/api/v1/retention/plan", {"SUPER_ADMIN", "ADMIN", "AUDITOR"}),
    ("GET", "/api/v1/retention/runs", {"SUPER_ADMIN", "ADMIN", "AUDITOR"}),
    ("GET", "/api/v1/retention/status", {"SUPER_ADMIN", "ADMIN", "AUDITOR"}),
    ("GET", "/api/v1/segments", {"SUPER_ADMIN", "ADMIN", "AUDITOR"}),
    ("GET", "/api/v1/holds", {"SUPER_ADMIN", "ADMIN", "AUDITOR"}),
    ("POST", "/api/v1/holds", {"SUPER_ADMIN"}),
    ("DELETE", "/api/v1/holds/1", {"SUPER_ADMIN"}),
    ("DELETE", "/api/v1/logs/purge", {"SUPER_ADMIN"}),
]


@pytest.mark.parametrize(("method", "path", "allowed"), WHO)
async def test_who_may(server, method, path, allowed):
    for role in ("SUPER_ADMIN", "ADMIN", "MANAGER", "NOC", "AUDITOR", "HELPDESK", "HR", "FINANCE"):
        status, _ = await call(server, method, path, role=role)
        assert (status != 403) is (role in allowed), role


async def test_an_export_fails_rather_than_leave_out_what_cannot_be_found(
    server, database, owner_pool, reader_pool, writer_pool
):
    """An expired segment is simply missing; one of the catalogue is not."""
    async with writer_pool.acquire() as conn:
        await keep(conn, *[make_record() for _ in range(5)])
        segment = await close(conn, "info")
    await server.catalogue.refresh()
    export = Export(Reader(reader_pool, limit_s=5), Pages(server.catalogue), Streams())
    await owner_pool.execute(f"ALTER TABLE system_logs_s{segment} RENAME TO away")

    with pytest.raises(LeafGone):
        [piece async for piece in export.pieces(EVERYTHING, Order.NEWEST)]
    await owner_pool.execute("UPDATE segments SET state = 'retiring' WHERE segment = $1", segment)
    assert [piece async for piece in export.pieces(EVERYTHING, Order.NEWEST)] == []
    await owner_pool.execute("UPDATE segments SET state = 'closed' WHERE segment = $1", segment)
    await owner_pool.execute(f"ALTER TABLE away RENAME TO system_logs_s{segment}")
