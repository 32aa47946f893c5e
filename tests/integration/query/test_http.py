"""Headers of every response, and errors."""

import asyncio
import gzip
import json

import pytest
from yarl import URL

from config.settings import ApiSettings, Settings
from query.api.app import ROUTES
from query.api.http.models import Problem
from tests.integration.query.test_concurrency import until, waits
from tests.support.querying import make_token, query_server

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "opslog",
}


PAGE = {"/", "/favicon.svg"}
OWN = {"Content-Security-Policy": {*PAGE, "/api/docs"}, "Cache-Control": PAGE}
"""Headers that some routes set themselves."""


async def test_every_response_has_security_headers_and_its_own_request_id(server):
    paths = [route.path.replace("{", "").replace("}", "") for route in server.client.app[ROUTES]]
    seen = set()
    for path in [*paths, "/nowhere", "/api/v1/logs?colour=red"]:
        for token in ("", None):
            response = await server.get(path, token=token)
            response.close()
            safe = {name: text for name, text in SAFE.items() if path not in OWN.get(name, ())}
            assert {name: response.headers.get(name) for name in safe} == safe, path
            assert "Access-Control-Allow-Origin" not in response.headers
            seen.add(response.headers["X-Request-Id"])
    assert len(seen) == 2 * (len(paths) + 2)


PROBLEMS = [
    ("GET", "/api/v1/logs?level=LOUD", 400, "bad_input", "level"),
    ("GET", "/api/v1/logs?colour=red", 400, "bad_input", "colour"),
    ("GET", "/api/v1/logs?cursor=abc", 400, "bad_input", "cursor"),
    ("GET", "/api/v1/logs?actorId=a%00b", 400, "bad_input", "actorId"),
    ("GET", "/api/v1/logs/xyz", 400, "bad_input", "id"),
    ("GET", "/api/v1/logs/019aa07e-5a4b-7000-8000-000000000000?x=1", 400, "bad_input", "x"),
    ("GET", "/api/v1/logs/trace/xyz", 400, "bad_input", "traceId"),
    ("GET", "/api/v1/logs/trace/" + "0" * 32, 400, "bad_input", "traceId"),
    ("GET", "/api/v1/logs/export?format=xml", 400, "bad_input", "format"),
    ("GET", "/api/v1/logs/export?limit=5", 400, "bad_input", "limit"),
    ("GET", "/api/v1/nowhere", 404, "not_found", None),
    ("GET", "/..%2f..%2fetc%2fpasswd", 404, "not_found", None),
    ("POST", "/api/v1/logs", 405, "method_not_allowed", None),
    ("DELETE", "/api/v1/logs", 405, "method_not_allowed", None),
    ("PATCH", "/livez", 405, "method_not_allowed", None),
]


@pytest.mark.parametrize("case", PROBLEMS, ids=lambda case: f"{case[0]} {case[1][:50]}")
async def test_errors_are_problem_documents(server, case):
    method, path, status, code, parameter = case
    headers = {"Authorization": f"Bearer {server.token}"}

    response = await server.client.request(method, path, headers=headers)

    assert response.status == status
    assert response.content_type == "application/problem+json"
    problem = Problem.model_validate_json(await response.text())
    assert problem.type == f"/errors/{code}"
    assert problem.status == status
    assert problem.request_id == response.headers["X-Request-Id"]
    assert [item.parameter for item in problem.errors] == ([parameter] if parameter else [])
    if status == 405:
        assert response.headers["Allow"] == "GET"


GIANTS = {
    "a long query": "q=" + "a" * 60_000,
    "many words": "q=" + "%20OR%20".join(f"w{n}" for n in range(2000)),
    "deep parentheses": "q=" + "(" * 1000 + "a" + ")" * 1000,
    "many parameters": "&".join(f"attr.a{n}=1" for n in range(3000)),
    "many values": "&".join(["level=INFO"] * 3000),
    "a long name": f"attr.{'x' * 5000}=1",
    "a huge page": "limit=1000000000",
    "a page by offset": "offset=1000000000",
    "a long cursor": "cursor=" + "A" * 50_000,
    "many fields": "fields=" + ",".join(["id"] * 10_000),
}


@pytest.mark.parametrize("kind", GIANTS)
async def test_oversized_queries_are_rejected_at_once(server, monkeypatch, kind):
    """T30, T31: before the database is queried."""
    from storage.database.read import Reader

    monkeypatch.setattr(Reader, "session", None)

    response = await server.get(f"/api/v1/logs?{GIANTS[kind]}")

    assert response.status == 400, await response.text()
    assert (await response.json())["errors"][0]["parameter"]
    assert len(await response.read()) < 10_000


@pytest.mark.parametrize(
    "parameters",
    [
        "logs/stats?start=0001-01-01T00:00:00Z&end=9999-01-01T00:00:00Z&interval=1s",
        "logs?q=" + "-" * 2000 + "a",
        "logs?attr." + "a." * 1000 + "b=1",
        "logs?q=/" + "(a|" * 60 + "b" + ")" * 60 + "/",
        "logs?q=message:" + "*a" * 120,
    ],
)
async def test_unusual_queries_are_cheap_or_rejected(server, parameters):
    """T29, T31."""
    response = await server.client.get(
        f"/api/v1/{parameters}", headers={"Authorization": f"Bearer {server.token}"}
    )

    assert response.status in {200, 400}, await response.text()


EXTREME_IDS = [
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-7000-8000-000000000000",
    "e6d6f3b2-0000-7000-8000-000000000000",
]


@pytest.mark.parametrize("number", EXTREME_IDS)
async def test_ids_from_the_ends_of_time_are_not_there(server, number):
    """An id contains a time, and 48 bits of milliseconds reach beyond the year 9999."""
    for path in ("", "/context", "/proof"):
        response = await server.get(f"/api/v1/logs/{number}{path}")
        assert response.status == 404, await response.text()
    for last in (f"{2**63 - 1}-0", f"-{2**63}-5", "9" * 400, "1-2-3"):
        headers = {"Authorization": f"Bearer {server.token}", "Last-Event-ID": last}
        response = await server.client.get("/api/v1/logs/tail", headers=headers)
        assert response.status == 200
        response.close()


DEEP = [b"[" * 60_000, b'{"attributes":' + b'{"a":' * 9000 + b"1" + b"}" * 9001, b'{"text":' * 8000]


@pytest.mark.parametrize("body", DEEP)
async def test_deep_bodies_are_refused(server, body):
    """T31."""
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}

    for path in ("/api/v1/redaction/test", "/api/v1/holds", "/api/v1/ingest/keys"):
        response = await server.client.post(path, data=body, headers=headers)
        assert response.status == 400, path


async def test_a_compressed_body_that_grows_is_refused(server):
    """T7: counted as it is inflated."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(b'{"text": "' + b"x" * 50_000_000 + b'"}')

    response = await server.client.post(
        "/api/v1/redaction/test",
        data=body,
        headers={"Authorization": f"Bearer {server.token}", **headers},
    )

    assert response.status == 413


async def test_no_client_text_gets_into_a_header(server):
    """T34: file names are fixed; what is echoed in a link or an error is encoded."""
    evil = "a%0d%0aX-Evil:%201"
    for path in (
        f"/api/v1/logs/export?filename={evil}",
        f"/api/v1/logs/export?format=csv{evil}",
        f"/api/v1/logs?sourceModule={evil}&limit=1",
        f"/api/v1/logs/actor/{evil}",
        f"/api/v1/logs/{evil}",
        f"/assets/{evil}",
        f"/{evil}",
    ):
        response = await server.client.get(
            URL(path, encoded=True), headers={"Authorization": f"Bearer {server.token}"}
        )
        assert "X-Evil" not in response.headers, path
        assert all(ord(sign) >= 32 for text in response.headers.values() for sign in text)


async def test_a_defect_does_not_leak_internals(server, monkeypatch, caplog):
    async def broken(*_):
        raise RuntimeError("SELECT secret FROM /var/lib postgresql://u:p@h/db")

    monkeypatch.setattr("query.planning.pages.Pages.read", broken)

    response = await server.get("/api/v1/logs")

    assert response.status == 500
    problem = await response.json()
    assert problem["type"] == "/errors/internal"
    assert problem["detail"] == ""
    assert "secret" not in json.dumps(problem)
    assert problem["requestId"] in caplog.text


async def test_a_statement_that_the_database_rejects_does_not_leak(server, monkeypatch):
    monkeypatch.setattr("query.planning.tables.compile_wave", lambda *_, **__: _bad_statement())
    monkeypatch.setattr(
        "query.planning.tables.catalogue_check", lambda *_: "SELECT secret FROM segments"
    )

    response = await server.get("/api/v1/logs")

    assert response.status == 500
    assert (await response.json())["type"] == "/errors/database_refused"
    assert "secret" not in await response.text()


def _bad_statement():
    from storage.database.read import Statement

    return Statement("SELECT secret FROM segments")


@pytest.mark.leaves_only  # locks the table
async def test_a_slow_query_is_cancelled_with_query_timeout(database, reader_pool, owner_pool):
    settings = Settings(api=ApiSettings(statement_timeout_s=0.3))
    async with (
        query_server(database.dsn, reader_pool, settings=settings) as server,
        owner_pool.acquire() as blocker,
        blocker.transaction(),
    ):
        await blocker.execute("LOCK TABLE segments IN ACCESS EXCLUSIVE MODE")

        response = await server.get("/api/v1/logs")

        assert response.status == 503
        assert (await response.json())["type"] == "/errors/query_timeout"
        assert "Retry-After" in response.headers
        await until(lambda: waits(database, 0))


@pytest.mark.leaves_only  # locks the table
async def test_queries_beyond_the_pool_are_rejected_with_retry_after(
    database, reader_pool, owner_pool, monkeypatch
):
    monkeypatch.setattr("storage.database.read.CONNECTION_WAIT_S", 0.2)
    async with (
        query_server(database.dsn, reader_pool) as server,
        owner_pool.acquire() as blocker,
        blocker.transaction(),
    ):
        await blocker.execute("LOCK TABLE segments IN ACCESS EXCLUSIVE MODE")
        tokens = [*[server.token] * 3, make_token("NOC")]  # one caller leaves one to others
        waiting = [asyncio.create_task(server.get("/api/v1/logs", token=own)) for own in tokens]
        await until(lambda: waits(database, 4))

        refused = await server.get("/api/v1/logs")

        await blocker.execute("ROLLBACK")
        await blocker.execute("BEGIN")
        assert refused.status == 503
        assert (await refused.json())["type"] == "/errors/database_busy"
        assert {(await response).status for response in waiting} == {200}


async def test_a_database_that_is_away_is_503_here_and_in_readyz(durable_postgres):
    from storage.database import migrate
    from storage.database.pool import DatabaseRole, connect, open_pool

    connection = await connect(durable_postgres.dsn, DatabaseRole.OWNER)
    await migrate.up(connection)
    await connection.close()
    async with (
        await open_pool(durable_postgres.dsn, DatabaseRole.READER, size=2) as pool,
        query_server(durable_postgres.dsn, pool) as server,
    ):
        assert (await server.get("/readyz")).status == 200
        durable_postgres.stop()

        response = await server.get("/api/v1/logs")
        ready = await server.get("/readyz", token=None)

        assert response.status == 503
        assert (await response.json())["type"] == "/errors/database_unavailable"
        assert ready.status == 503
        assert (await ready.json())["checks"]["database"]["state"] == "failed"
        assert (await server.get("/livez", token=None)).status == 200
