"""Statistics are exact, from counters and rows alike; facets and patterns report their samples."""

import random
from collections import Counter

import pytest

from config.levels import LEVEL_NAMES
from query.api.records.facets import Facets
from query.api.records.patterns import Patterns
from query.api.records.statistics import Stats
from tests.integration.query.test_queries import attributes
from tests.integration.query.test_search import BASE_NS, record
from tests.support.querying import make_token

STATS = "/api/v1/logs/stats"
S = 10**9
BASE = "2026-09-21T14:13:20.123Z"


def at(seconds: float) -> str:
    """A time some seconds after the first record's."""
    from storage.record.times import rfc3339_ns

    return rfc3339_ns(BASE_NS + int(seconds * S))


@pytest.fixture
async def crowd(store):
    """A thousand records of some hours, of every level, kind and three modules."""
    chance = random.Random(5)
    records = [
        record(
            chance.randrange(4 * 3600) * S + chance.randrange(S),
            level=chance.randrange(5),
            kind=chance.choice(["log", "log", "span"]),
            source_module=chance.choice(["shop", "bank", "mail"]),
            action=chance.choice(["a", "b"]),
            message=chance.choice(["order placed", "order refused", f"card {chance.random()}"]),
        )
        for _ in range(1000)
    ]
    await store.put(*records[:500])
    await store.roll("info")
    await store.put(*records[500:])
    return records


def inside(records, start_ns, end_ns):
    return [item for item in records if start_ns <= item.created_unix_ns - BASE_NS < end_ns]


RANGES = [(0, 5 * 3600), (17.5, 3601.25), (100.1, 100.9), (59, 7261), (3600, 10800), (20000, 20001)]
KEYS = {
    "level": lambda item: LEVEL_NAMES[item.level],
    "sourceModule": lambda item: item.source_module,
    "kind": lambda item: item.kind,
    "action": lambda item: item.action,
}


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("by", KEYS)
async def test_counts_are_exact_whatever_the_range(crowd, server, span, by):
    start, end = span
    expected = Counter(map(KEYS[by], inside(crowd, start * S, end * S)))

    for interval in ("auto", "none", "1h", "7m", "1d"):
        response = await server.get(STATS, start=at(start), end=at(end), by=by, interval=interval)
        stats = Stats.model_validate_json(await response.text())
        assert stats.total == sum(expected.values()), interval
        assert {item.value: item.count for item in stats.totals} == expected
        if interval != "none":
            assert sum(bucket.count for bucket in stats.series) == stats.total
            assert all(sum(item.values.values()) == item.count for item in stats.series)


@pytest.mark.parametrize("interval", [60, 300, 3600, 7])
async def test_buckets_hold_what_happened_in_them(crowd, server, interval):
    start, end = 33.3, 33.3 + 1900 * min(interval, 7)
    expected = Counter(
        (item.created_unix_ns // S // interval * interval, LEVEL_NAMES[item.level])
        for item in inside(crowd, start * S, end * S)
    )

    page = await server.page(STATS, start=at(start), end=at(end), interval=f"{interval}s")

    from datetime import datetime

    found = {
        (int(datetime.fromisoformat(item["start"]).timestamp()), level): count
        for item in page["series"]
        for level, count in item["values"].items()
    }
    assert found == expected
    assert page["interval"] == interval


FILTERS = [
    {"level": "ERROR"},
    {"minLevel": "WARN", "sourceModule": ["shop", "bank"]},
    {"q": "-sourceModule:shop"},
    {"q": "sourceModule:/^.a/ OR level:>=ERROR"},
    {"kind": "span"},
    {"q": "order"},
    {"q": "refused -level:INFO"},
    {"action": "a"},
]


@pytest.mark.parametrize("given", FILTERS, ids=str)
async def test_counts_are_of_the_records_that_the_same_search_finds(crowd, server, given):
    span = {"start": at(10.5), "end": at(9999.5)}
    found = await server.walk(limit=500, **span, **given)

    stats = await server.page(STATS, **span, **given)

    assert stats["total"] == len(found)


async def test_without_a_start_everything_is_counted(crowd, server):
    stats = await server.page(STATS)

    assert stats["total"] == 1000
    assert 0 < len(stats["series"]) <= 2000


async def test_an_empty_store_counts_nothing(server):
    stats = await server.page(STATS)

    assert (stats["total"], stats["totals"]) == (0, [])


BAD = [
    {"by": "message"},
    {"interval": "soon"},
    {"interval": "0s"},
    {"interval": "1s", "start": "-30d"},
    {"limit": "5"},
    {"order": "asc"},
]


@pytest.mark.parametrize("given", BAD, ids=str)
async def test_unsupported_statistics_parameters_are_rejected(server, given):
    response = await server.get(STATS, **given)

    assert response.status == 400


async def test_facets_are_exact_unless_too_many_records_are_in_tables(store, server, monkeypatch):
    await store.put(
        *(
            record(n, message=f"m {n}", metadata=attributes(user__id=f"u-{n % 3}"))
            for n in range(9)
        ),
        record(20, source_module="bank", level=3, ip_address=bytes([10, 0, 0, 1])),
    )
    fields = ["level", "sourceModule", "attr.user.id", "action", "resource.service.name", "kind"]

    page = await server.page("/api/v1/logs/facets", field=fields, limit=2)

    Facets.model_validate(page)
    found = {item["field"]: item for item in page["data"]}
    assert list(found) == fields
    assert found["level"]["values"] == [
        {"value": "INFO", "count": 9},
        {"value": "ERROR", "count": 1},
    ]
    assert len(found["attr.user.id"]["values"]) == 2
    assert sum(item["count"] for item in found["attr.user.id"]["values"]) == 6
    assert found["resource.service.name"]["values"] == [{"value": "checkout", "count": 10}]
    assert not any(item["sample"] for item in page["data"])

    monkeypatch.setattr("query.planning.faceting.MAX_TABLE_ROWS", -1)
    monkeypatch.setattr("query.api.records.facets.SAMPLE", 5)
    page = await server.page("/api/v1/logs/facets", field=["level", "user.id"], prefix="U-1")
    found = {item["field"]: item for item in page["data"]}
    assert found["level"]["sample"] is False
    assert found["user.id"]["sample"] is True
    assert {item["value"] for item in found["user.id"]["values"]} <= {"u-1"}


async def test_facets_without_a_field_cover_main_fields_and_useful_attributes(store, server):
    await store.put(
        *(
            record(
                n,
                ip_address=bytes([10, 0, 0, n % 2]),
                metadata=attributes(http__route="/orders", request__id=f"r-{n}"),
            )
            for n in range(6)
        )
    )

    page = await server.page("/api/v1/logs/facets")
    addresses = await server.page(
        "/api/v1/logs/facets", field=["ipAddress", "kind"], q="x OR -x", start="-4000d"
    )

    Facets.model_validate(page)
    found = {item["field"]: item["values"] for item in page["data"]}
    assert {"level", "sourceModule", "action", "kind", "resourceType"} < set(found)
    assert found["attr.http.route"] == [{"value": "/orders", "count": 6}]
    assert "attr.request.id" not in found  # another one each time
    assert [item["values"] for item in addresses["data"]] == [
        [{"value": "10.0.0.0", "count": 3}, {"value": "10.0.0.1", "count": 3}],
        [{"value": "log", "count": 6}],
    ]


@pytest.mark.parametrize("name", ["id", "createdAt", "", "x" * 3000])
async def test_fields_that_cannot_have_facets_are_refused(server, name):
    response = await server.get("/api/v1/logs/facets", field=name)

    assert response.status == 400
    assert (await response.json())["errors"][0]["parameter"] == "field"


async def test_patterns_group_similar_messages(store, server):
    await store.put(
        *(record(n, message=f"order o-{n} placed") for n in range(5)),
        record(9, message="ready", level=2),
    )

    page = await server.page("/api/v1/logs/patterns")

    Patterns.model_validate(page)
    assert [(item["pattern"], item["count"], item["level"]) for item in page["data"]] == [
        ("order <*> placed", 5, "INFO"),
        ("ready", 1, "WARN"),
    ]
    assert page["data"][0]["sample"]["message"] == "order o-4 placed"
    assert page["sampled"] is False


async def test_statistics_of_audit_records_require_the_permission(store, server):
    await store.put(record(1), record(2, kind="audit"))

    assert (await server.page(STATS))["total"] == 1
    assert (await server.page(STATS, kind="audit"))["total"] == 1
    for path in (STATS, "/api/v1/logs/facets", "/api/v1/logs/patterns"):
        response = await server.get(path, kind="audit", token=make_token("NOC"))
        assert response.status == 403
