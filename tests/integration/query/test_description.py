"""The documentation of the API covers every route, and responses match it."""

import asyncio
import sys

import pytest
from pydantic import TypeAdapter

from query.api.app import ROUTES
from tests.integration.query.test_search import FULL, record
from tests.support.querying import make_token


async def test_every_route_is_documented(server):
    response = await server.get("/api/openapi.json", token=None)
    document = await response.json()

    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == {(route.method, route.path) for route in server.client.app[ROUTES]}
    ids = [
        item["operationId"] for methods in document["paths"].values() for item in methods.values()
    ]
    assert len(ids) == len(set(ids))
    assert all(
        item["summary"] for methods in document["paths"].values() for item in methods.values()
    )


async def test_the_html_documentation_loads_nothing_else(server):
    response = await server.get("/api/docs", token=None)
    text = await response.text()

    assert response.content_type == "text/html"
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "/api/v1/logs/stats" in text
    assert "sha256-" in response.headers["Content-Security-Policy"]


async def test_responses_match_their_models(store, server):
    await store.put(record(1, **FULL), record(2))
    span = {"start": "2026-09-01T00:00:00Z"}
    trace = FULL["trace_id"].hex()
    requested = {
        "/api/v1/logs": span,
        "/api/v1/logs/stats": span,
        "/api/v1/logs/facets": span,
        "/api/v1/logs/patterns": span,
        f"/api/v1/logs/trace/{trace}": {},
        "/api/v1/logs/actor/u-42": {},
        "/api/v1/traces": span,
        "/api/v1/session": {},
        "/api/v1/ingest/keys": {},
    }
    by_path = {route.path: route for route in server.client.app[ROUTES] if route.method == "GET"}
    for path, given in requested.items():
        route = by_path[path.replace(trace, "{traceId}").replace("u-42", "{id}")]
        response = await server.get(path, **given)
        TypeAdapter(route.response).validate_json(await response.text())


@pytest.mark.slow
async def test_schemathesis_finds_no_undocumented_response(store, server):
    await store.put(record(1, **FULL), *(record(n, message=f"m{n}") for n in range(20)))
    url = str(server.client.make_url("/api/openapi.json"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", url),
        *("--header", f"Authorization: Bearer {make_token('SUPER_ADMIN')}"),
        *("--checks", "all", "--exclude-checks", "ignored_auth,positive_data_acceptance"),
        *(
            "--max-examples",
            "8",
            "--seed",
            "1",
            "--phases",
            "examples,coverage,fuzzing",
            "--request-timeout",
            "10",
        ),
        *("--exclude-path", "/api/v1/logs/tail", "--exclude-path", "/metrics"),
        # Its GET is that of /logs/{id}, as in Allow.
        *("--exclude-path", "/api/v1/logs/purge"),
        *("--exclude-path", "/assets/{name}", "--no-color"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 300)

    found = [line for line in output.decode().splitlines() if "- ST" in line or "curl" in line]
    assert process.returncode == 0, "\n".join(line[:300] for line in found)
