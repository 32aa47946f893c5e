"""T25, T26: a token restricted to source modules cannot read others, on any route."""

import uuid

import pytest

from config.access import Permission
from query.api.app import ROUTES
from tests.integration.query.test_search import record
from tests.support.querying import make_token

TRACE = b"t" * 16
START = "2020-01-01T00:00:00Z"
SHARED = {"trace_id": TRACE, "actor_id": "u", "resource_id": "r", "correlation_id": "c"}
CANARY = "canary7"
READING = {Permission.LOGS_READ, Permission.LOGS_EXPORT, Permission.REDACTION_TEST}


@pytest.fixture
async def records(store):
    """One record of the token's module, one of another, alike in all that can be queried."""
    mine = record(1, message="mine", source_module="bank", span_id=b"s" * 8, kind="span", **SHARED)
    other = record(
        *(2,),
        message=f"other {CANARY}",
        action=f"act-{CANARY}",
        source_module=f"shop-{CANARY}",
        span_id=b"o" * 8,
        kind="span",
        metadata=b'{"attributes": {"a": "canary7"}}',
        **SHARED,
    )
    await store.put(mine, other)
    return mine, other


def limited(role="SUPER_ADMIN"):
    return make_token(role, source_modules=["bank"])


QUERIES = [
    ("/api/v1/logs", {"start": START}),
    ("/api/v1/logs", {"q": "other OR mine", "start": START}),
    ("/api/v1/logs", {"q": f"sourceModule:shop-{CANARY} OR NOT mine", "start": START}),
    ("/api/v1/logs", {"sourceModule": ["bank", "shop-canary7"], "start": START}),
    ("/api/v1/logs/actor/u", {"start": START}),
    ("/api/v1/logs/resource/r", {"start": START}),
    ("/api/v1/logs/correlation/c", {"start": START}),
    (f"/api/v1/logs/correlation/{TRACE.hex()}", {"start": START}),
    (f"/api/v1/logs/trace/{TRACE.hex()}", {}),
    ("/api/v1/traces", {"start": START}),
    ("/api/v1/traces", {"start": START, "service": "shop-canary7"}),
    ("/api/v1/logs/stats", {"start": START, "by": "sourceModule"}),
    ("/api/v1/logs/stats", {"start": START, "by": "action"}),
    ("/api/v1/logs/facets", {"start": START, "field": "sourceModule"}),
    ("/api/v1/logs/facets", {"start": START, "field": "action"}),
    ("/api/v1/logs/facets", {"start": START, "field": "attr.a"}),
    ("/api/v1/logs/patterns", {"start": START}),
    ("/api/v1/logs/export", {"start": START}),
    ("/api/v1/logs/export", {"start": START, "format": "csv"}),
    ("/api/v1/logs/export", {"start": START, "format": "otlp"}),
]


@pytest.mark.parametrize(("path", "parameters"), QUERIES)
async def test_no_query_returns_anything_of_other_modules(server, records, path, parameters):
    response = await server.get(path, token=limited(), **parameters)

    text = await response.text()
    assert response.status == 200, text
    assert CANARY not in text


async def test_a_record_of_another_module_is_not_found(server, records):
    mine, other = records
    none = uuid.UUID(bytes=other.id[:8] + b"\x80" + other.id[9:])

    for path in ("/api/v1/logs/{}", "/api/v1/logs/{}/context", "/api/v1/logs/{}/proof"):
        hidden = await server.get(path.format(uuid.UUID(bytes=other.id)), token=limited())
        absent = await server.get(path.format(none), token=limited())
        assert (hidden.status, absent.status) == (404, 404), path
        reported = [await response.json() for response in (hidden, absent)]
        assert {**reported[0], "requestId": ""} == {**reported[1], "requestId": ""}
    context = await server.get(
        f"/api/v1/logs/{uuid.UUID(bytes=mine.id)}/context", token=limited(), before=9, after=9
    )
    assert CANARY not in await context.text()


async def test_a_cursor_does_not_carry_anothers_rights(store, server, records):
    await store.put(record(3, message="mine too", source_module="bank"))
    page = await server.page(start=START, limit=1)

    taken = await server.get(
        "/api/v1/logs", token=limited(), start=START, limit=1, cursor=page["nextCursor"]
    )

    assert CANARY not in await taken.text()


async def test_routes_over_all_modules_reject_restricted_tokens(server, records):
    """Counters name modules, dead letters contain records, purges and holds cover all modules."""
    for route in server.client.app[ROUTES]:
        if route.permission is None or route.permission in READING:
            continue
        response = await server.client.request(
            route.method,
            route.path.format(id=1, name="k", traceId=TRACE.hex()),
            headers={"Authorization": f"Bearer {limited()}"},
        )
        assert response.status == 403, route.path


async def test_the_principal_is_never_taken_from_another_header(server, records):
    """T26: proxies of other backends send the tenant in a header."""
    names = ("X-Scope-OrgID", "X-Tenant", "X-Remote-User", "X-Forwarded-User", "X-Opslog-Role")
    headers = dict.fromkeys(names, "SUPER_ADMIN")

    none = await server.client.get("/api/v1/logs", headers=headers)
    own = {"Authorization": f"Bearer {limited('NOC')}", **headers}
    response = await server.client.get(f"/api/v1/logs?start={START}", headers=own)

    assert none.status == 401
    assert CANARY not in await response.text()
    assert (await server.client.get("/api/v1/ingest/keys", headers=own)).status == 403
