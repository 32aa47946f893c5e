"""Access control: all routes with all roles, and the audit record of each access."""

import uuid

import pytest
from yarl import URL

from config.access import Role, permissions_of
from config.settings import ApiSettings, Settings
from query.api.app import ROUTES
from query.auth.access_audit import Outcome
from query.auth.access_records import batch_of
from query.planning.search import TIMELINE
from tests.integration.query.test_search import record
from tests.support.querying import make_token, query_server, redactor
from tests.support.records import STREAM

OPEN = {
    *("/livez", "/readyz", "/healthz", "/api/openapi.json", "/api/docs"),
    *("/", "/favicon.svg", "/assets/{name}"),
}
VALUES = {"id": str(uuid.uuid4()), "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "k"}


def address(route) -> str:
    return route.path.format(**VALUES)


def is_open(route) -> bool:
    return route.permission is None and not route.needs_token


def table(server):
    return server.client.app[ROUTES]


async def test_every_route_of_the_application_is_in_the_table(server):
    served = {
        (route.method, route.resource.canonical)
        for route in server.client.app.router.routes()
        if route.resource is not None
    }

    assert served == {(route.method, route.path) for route in table(server)}


async def test_only_health_viewer_and_documentation_are_public(server):
    assert {route.path for route in table(server) if is_open(route)} == OPEN


async def test_all_other_routes_require_a_valid_token(server):
    for route in table(server):
        for token in (None, "x", "a.b.c"):
            response = await server.client.request(
                route.method,
                address(route),
                headers={} if token is None else {"Authorization": f"Bearer {token}"},
            )
            if route.path in OPEN:
                assert response.status in {200, 404}
            else:
                assert response.status == 401, route.path
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
                assert (await response.json())["type"] == "/errors/unauthorized"


@pytest.mark.parametrize("role", [*Role, "EMPEROR", "super_admin", ""])
async def test_every_route_requires_its_permission_of_every_role(server, role):
    held = permissions_of(role)
    for route in table(server):
        response = await server.client.request(
            route.method,
            address(route),
            headers={"Authorization": f"Bearer {make_token(role)}"},
        )
        response.close()
        if route.permission is None or route.permission in held:
            # 400: a body is missing
            assert response.status in {route.status, 400, 404}, route.path
        elif route.audit_permission in held and route.path != "/version":
            # no telemetry for it: timelines of audit records, or a refusal
            assert response.status in {200 if route.parameters is TIMELINE else 403, 404}, (
                route.path
            )
        elif route.audit_permission not in held:
            assert response.status == 403, route.path


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Token {make_token()}"},
        {"X-Authorization": f"Bearer {make_token()}"},
        {"Cookie": f"token={make_token()}"},
    ],
)
async def test_tokens_are_accepted_in_the_authorization_header_only(server, headers):
    assert (await server.client.get("/api/v1/logs", headers=headers)).status == 401


async def test_a_token_in_the_url_is_ignored(server):
    for name in ("token", "access_token", "jwt"):
        response = await server.client.get("/api/v1/logs", params={name: make_token()})
        assert response.status == 401


async def test_two_authorization_headers_are_refused(server):
    headers = [("Authorization", f"Bearer {make_token()}"), ("Authorization", "Bearer x")]

    assert (await server.client.get("/api/v1/logs", headers=headers)).status == 401


@pytest.fixture
async def mixed(store):
    """A log and an audit record of the same trace."""
    trace = bytes.fromhex(VALUES["traceId"])
    log = record(1, message="telemetry", trace_id=trace)
    audit = record(2, message="access", trace_id=trace, kind="audit")
    await store.put(log, audit)
    return log, audit


def named(page):
    return [item["message"] for item in page["data"]]


async def test_audit_records_are_excluded_by_default(server, mixed):
    trace = f"/api/v1/logs/trace/{VALUES['traceId']}"

    assert named(await server.page()) == ["telemetry"]
    assert named(await server.page(trace)) == ["telemetry"]
    assert named(await server.page(kind="audit")) == ["access"]
    assert named(await server.page(kind=["audit", "log"])) == ["access", "telemetry"]
    assert named(await server.page(trace, kind=["audit", "log", "span"])) == ["telemetry", "access"]


async def test_reading_audit_records_requires_the_permission(server, mixed):
    log, audit = (f"/api/v1/logs/{uuid.UUID(bytes=item.id)}" for item in mixed)
    noc, auditor = make_token("NOC"), make_token("AUDITOR")

    async def status(path, token, **parameters):
        return (await server.get(path, token=token, **parameters)).status

    assert await status("/api/v1/logs", noc, kind="audit") == 403
    assert await status("/api/v1/logs", noc, kind=["log", "audit"]) == 403
    assert await status(audit, noc) == 404
    assert await status(log, noc) == 200
    assert await status("/api/v1/logs", auditor) == 403
    assert await status("/api/v1/logs", auditor, kind=["log", "audit"]) == 403
    assert await status(log, auditor) == 404
    assert await status(audit, auditor) == 200
    assert named(await server.page(token=auditor, kind="audit")) == ["access"]
    admin = make_token("ADMIN")
    assert await status("/api/v1/logs/export", admin, kind="audit") == 403
    exported = await server.get("/api/v1/logs/export", token=admin)
    assert (await exported.text()).count("\n") == 1
    exported = await server.get("/api/v1/logs/export", kind="audit")
    assert "access" in await exported.text()


async def test_every_access_leaves_a_record_of_who_what_and_how_much(store, server):
    item = record(message="x", actor_id="u-1")
    await store.put(item, record(1))
    noc = make_token("NOC", sub="jane")

    await server.page(token=noc, actorId="u-1", limit=10)
    await server.page(f"/api/v1/logs/{uuid.UUID(bytes=item.id)}", token=noc)
    await server.page(f"/api/v1/logs/trace/{VALUES['traceId']}", token=noc)
    await server.get("/api/v1/logs", token=noc, level="LOUD")
    await server.get("/api/v1/logs/export", token=noc)
    await server.get("/version", token=noc)

    seen = [(e.action, e.outcome, e.rows, e.error, e.query) for e in server.accesses]
    assert seen == [
        ("logs.search", Outcome.SUCCESS, 1, "", "actorId=u-1&limit=10"),
        ("logs.read", Outcome.SUCCESS, 1, "", f"id={uuid.UUID(bytes=item.id)}"),
        ("logs.trace", Outcome.SUCCESS, 0, "", f"traceId={VALUES['traceId']}"),
        ("logs.search", Outcome.FAILURE, None, "bad_input", "level=LOUD"),
        ("logs.export", Outcome.DENIED, None, "forbidden", ""),
    ]
    event = server.accesses[0]
    assert (event.subject, event.role, event.client_address) == ("jane", "NOC", "127.0.0.1")
    assert event.permission == "logs.read"
    assert event.route == "/api/v1/logs"
    assert len(event.token) == len(event.request_id) == 16


async def test_what_is_recorded_is_redacted(server):
    await server.page(token=make_token(sub="jane@example.com"), actorId="hunter2")

    assert server.accesses[0].query == "actorId=[REDACTED]"
    assert server.accesses[0].subject == "hmac:user.id"


async def test_requests_with_characters_that_cannot_be_stored_are_recorded(server, store):
    """T37: the database would reject an access record with a NUL, so it would be missing."""
    odd = make_token("NOC\0", sub="eve\0\ud800")

    await server.client.get(
        URL("/api/v1/logs?actorId=a%00b&sourceModule=%ed%a0%80", encoded=True),
        headers={"Authorization": f"Bearer {odd}"},
    )

    event = server.accesses[-1]
    assert (event.outcome, event.subject, event.role) == (
        Outcome.DENIED,
        "eve\ufffd\ufffd",
        "NOC\ufffd",
    )
    assert event.query.startswith("actorId=a\ufffdb")
    others = batch_of(event, redactor().attribute).records[0]
    others.stream_id = STREAM.id
    await store.put(others)
    stored = (await server.page(kind="audit"))["data"]
    assert [item["actorId"] for item in stored] == ["eve\ufffd\ufffd"]


async def test_long_queries_are_recorded_with_length_and_hash(server):
    """T37: a truncated query has its length and hash."""
    for last in ("x", "y"):
        values = [f"{number:04}{'m' * 396}" for number in range(40)]
        await server.get("/api/v1/logs", sourceModule=[*values, last])

    first, second = (event.query for event in server.accesses)
    assert first[:4096] == second[:4096]
    assert first != second
    assert "characters, SHA-256" in first


async def test_an_export_is_recorded_before_its_first_byte_and_counted_after_its_last(
    store, server
):
    await store.put(record(), record(1))

    response = await server.get("/api/v1/logs/export")
    await response.read()

    assert [(e.outcome, e.rows) for e in server.accesses] == [
        (Outcome.SUCCESS, None),
        (Outcome.SUCCESS, 2),
    ]


async def test_an_export_that_cannot_be_recorded_is_refused(store, server):
    await store.put(record())
    server.switches.audit_fails = True

    refused = await server.get("/api/v1/logs/export")
    searched = await server.get("/api/v1/logs")

    assert refused.status == 503
    assert (await refused.json())["type"] == "/errors/audit_not_written"
    assert searched.status == 200


async def test_the_last_address_that_is_not_a_trusted_proxy_is_the_client(database, reader_pool):
    settings = Settings(api=ApiSettings(trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"]))
    cases = [
        (None, "127.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("203.0.113.9, ,", "127.0.0.1"),
        ("spoofed", None),
        ("10.1.1.1", "10.1.1.1"),
        ("2001:db8::1", "2001:db8::1"),
    ]
    async with query_server(database.dsn, reader_pool, settings=settings) as server:
        for forwarded, expected in cases:
            headers = {"Authorization": f"Bearer {server.token}"}
            if forwarded is not None:
                headers["X-Forwarded-For"] = forwarded
            await server.client.get("/api/v1/logs", headers=headers)
            assert server.accesses[-1].client_address == expected, forwarded


async def test_without_trusted_proxies_forwarded_addresses_are_ignored(server):
    headers = {"Authorization": f"Bearer {server.token}", "X-Forwarded-For": "203.0.113.9"}

    await server.client.get("/api/v1/logs", headers=headers)

    assert server.accesses[-1].client_address == "127.0.0.1"
