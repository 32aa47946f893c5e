"""Readiness by check, metrics, version."""

from config.process.health import Finding, State
from query.api.system.health import Readiness, Version
from tests.support.querying import make_token, query_server


async def test_readyz_lists_every_check_and_fails_only_with_one_that_failed(database, reader_pool):
    found = {"spool": Finding(State.OK), "segments": Finding(State.DEGRADED, "one is late")}

    async def look(name):
        return found[name]

    checks = {name: (lambda name=name: look(name)) for name in found}
    async with query_server(database.dsn, reader_pool, checks=checks) as server:
        response = await server.get("/readyz", token=None)
        found["spool"] = Finding(State.FAILED, "full")
        failed = await server.get("/healthz", token=None)
        ready = Readiness.model_validate_json(await response.text())
        worst = (await failed.json())["status"]

    assert response.status == 200
    assert ready.status == "degraded"
    assert ready.checks["segments"].reason == "one is late"
    assert {name: check.state for name, check in ready.checks.items()} == {
        "database": "ok",
        "migrations": "ok",
        "spool": "ok",
        "segments": "degraded",
    }
    assert failed.status == 503
    assert worst == "failed"


async def test_readyz_distinguishes_a_schema_that_is_behind_from_a_newer_one(
    database, reader_pool, owner_pool
):
    async with query_server(database.dsn, reader_pool) as server:

        async def state():
            response = await server.get("/readyz", token=None)
            return response.status, (await response.json())["checks"]["migrations"]["state"]

        await owner_pool.execute(
            "INSERT INTO schema_migrations SELECT (jsonb_populate_record(m, "
            "jsonb_build_object('version', 9999, 'number', 9999, 'name', '9999_later'))).* "
            "FROM schema_migrations AS m LIMIT 1"
        )
        newer = await state()
        await owner_pool.execute("DELETE FROM schema_migrations")
        behind = await state()

    assert newer == (200, "degraded")
    assert behind == (503, "failed")


async def test_metrics_and_version_require_permissions(server):
    await server.page()

    metrics = await server.get("/metrics", token=make_token("ADMIN"))
    version = await server.get("/version", token=make_token("NOC"))

    text = await metrics.text()
    assert 'opslog_api_request_seconds_count{route="/api/v1/logs",status="200"}' in text
    assert Version.model_validate_json(await version.text()).version == "1.2.3"
    assert (await server.get("/metrics", token=make_token("NOC"))).status == 403
