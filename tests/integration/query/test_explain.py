"""`explain=true`: what a query read and skipped, for those who may know; `Server-Timing`."""

import pytest
from pydantic import TypeAdapter

from query.api.app import ROUTES
from query.api.records.models import Explanation
from tests.integration.query.test_search import FULL, record
from tests.support.querying import make_token

SINCE = {"start": "2026-09-01T00:00:00Z"}
TRACE = FULL["trace_id"].hex()
PATHS = {
    "/api/v1/logs": SINCE,
    "/api/v1/logs/actor/u-42": {},
    "/api/v1/logs/resource/o-17": {},
    "/api/v1/logs/correlation/c-1": {},
    f"/api/v1/logs/trace/{TRACE}": {},
    "/api/v1/logs/stats": SINCE,
    "/api/v1/logs/facets": SINCE,
    "/api/v1/logs/patterns": SINCE,
    "/api/v1/traces": SINCE,
}


@pytest.fixture
async def filled(store, server):
    """Some records, in leaves or in packs."""
    await store.put(record(1, **FULL), *(record(n, message=f"m{n}") for n in range(2, 9)))
    return server


def response_model(server, path):
    route = path.replace(TRACE, "{traceId}")
    for number in ("u-42", "o-17", "c-1"):
        route = route.replace(f"/{number}", "/{id}")
    return next(each for each in server.client.app[ROUTES] if each.path == route).response


async def test_every_query_explains_itself(filled):
    for path, parameters in PATHS.items():
        response = await filled.get(path, explain="true", **parameters)

        assert response.status == 200, (path, await response.text())
        TypeAdapter(response_model(filled, path)).validate_json(await response.text())
        explained = Explanation.model_validate((await response.json())["explain"])
        assert explained.request_ms, path
        segments, blocks = explained.segments, explained.blocks
        read = segments.leaves_read + segments.packs_read
        assert segments.considered == read + sum(segments.skipped.values()), (path, segments)
        assert blocks.considered == blocks.read + sum(blocks.skipped.values()), (path, blocks)
        assert segments.considered, path
        assert explained.rows.found, path
        assert "ETag" not in response.headers
        assert "explain" not in await filled.page(path, **parameters)
        assert "explain" not in await filled.page(path, explain="false", **parameters)


async def test_the_context_of_a_record_is_explained_as_well(filled):
    number = (await filled.page(**SINCE))["data"][0]["id"]

    context = await filled.page(f"/api/v1/logs/{number}/context", explain="true")

    Explanation.model_validate(context["explain"])


async def test_a_cursor_is_valid_with_and_without_an_explanation(filled):
    first = await filled.page(limit=3, explain="true", **SINCE)
    second = await filled.page(limit=3, cursor=first["nextCursor"], **SINCE)
    third = await filled.page(limit=3, cursor=second["nextCursor"], explain="true", **SINCE)

    found = [item["id"] for page in (first, second, third) for item in page["data"]]
    assert len(set(found)) == 8


@pytest.mark.parametrize(
    "token",
    [make_token("NOC"), make_token("MANAGER"), make_token("ADMIN", source_modules=["checkout"])],
)
async def test_what_is_read_of_others_records_needs_the_permission(server, token):
    """The numbers depend on records that the token may not see."""
    response = await server.get("/api/v1/logs", token=token, explain="true")

    assert response.status == 403
    assert "operations.read" in (await response.json())["detail"]
    assert (await server.get("/api/v1/logs", token=token)).status == 200


async def test_other_values_are_refused(server):
    response = await server.get("/api/v1/logs", explain="yes")

    assert response.status == 400
    assert (await response.json())["errors"][0]["parameter"] == "explain"
    assert (await server.get("/api/v1/logs/export", explain="true")).status == 400


async def test_server_timing_names_the_stages_that_took_time(filled):
    response = await filled.get("/api/v1/logs", **SINCE)
    stages = dict(item.split(";dur=") for item in response.headers["Server-Timing"].split(", "))

    assert {"db", "render", "total"} <= stages.keys()
    assert stages.keys() <= {"db", "packs", "queue", "render", "total"}
    assert all(float(spent) > 0 for spent in stages.values())
    public = await filled.get("/livez", token=None)
    assert public.headers["Server-Timing"].startswith("total;dur=")
