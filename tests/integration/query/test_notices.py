"""Notices: names that no record has, and records dated after the default end."""

import time

import pytest

from storage.record.canonical import canonical
from tests.integration.query.test_search import BASE_NS, record

DAY_NS = 86400 * 10**9


def at(offset_ns, **values):
    """A record dated relative to now."""
    return record(time.time_ns() - BASE_NS + offset_ns, **values)


def attributes(**values):
    return canonical({"attributes": {k.replace("__", "."): v for k, v in values.items()}})


def messages(page):
    return sorted(item["message"] for item in page["data"])


@pytest.mark.parametrize(
    "case",
    [
        ("levvel:error", "levvel", "level", "level:error"),
        ("sourceModul:x", "sourceModul", "sourceModule", "sourceModule:x"),
        ("-(-order.idd:7 OR b)", "order.idd", "order.id", "-(-order.id:7 OR b)"),
        ("order.idd>=5", "order.idd", "order.id", "order.id>=5"),
        ('"order idd":7', "order idd", "order id", '"order id":7'),
        ("zone:x", "zone", "ttzone", "ttzone:x"),
    ],
)
async def test_a_name_that_no_record_has_is_noticed(store, server, case):
    text, name, meant, better = case
    await store.put(
        at(-1000, message="placed", metadata=attributes(order__id=7, **{"order id": 7}, ttzone="x"))
    )

    page = await server.page(q=text)

    assert page["data"] == []
    assert f'No record in this range has the attribute "{name}"' in page["notice"]
    assert f'did you mean "{meant}"?' in page["notice"]
    assert page["notices"][0]["change"] == {"q": better}
    # also where the records are only counted
    assert (await server.page("/api/v1/logs/stats", q=text))["notices"] == page["notices"]


async def test_the_name_of_a_parameter_is_noticed(store, server):
    await store.put(at(-1000, metadata=attributes(order__id=7)))

    page = await server.page(**{"attr.order.idd": "7"})
    assert 'did you mean "order.id"?' in page["notice"]
    assert page["notices"][0]["change"] is None


async def test_a_known_name_without_matches_needs_no_notice(store, server):
    await store.put(at(-1000, message="placed", metadata=attributes(order__id=7)))

    for text in ("order.id:8", "level:ERROR", "service.name:none", "host:none", "00:1a:2b:3c"):
        page = await server.page(q=text)
        assert page["data"] == []
        assert "notices" not in page or "attribute" not in page["notice"], text


async def test_an_attribute_of_the_resource_needs_no_prefix(store, server):
    await store.put(at(-1000, message="on both", metadata=attributes(service__version="x")))
    await store.put(at(-900, message="plain"))

    # every record of the store has the resource attribute service.name
    for term in ("service.name:checkout", "service:checkout", "resource.service.name:check*"):
        assert (await server.page(q=term))["data"], term
    assert (await server.page(service="checkout"))["data"]
    assert (await server.page("/api/v1/logs/facets", field="service_name"))["data"][0]["values"]


async def test_records_ahead_of_the_clock_are_found(store, server):
    await store.put(
        at(-(10**9), message="now"),
        at(3600 * 10**9, message="in an hour", actor_id="u-1", resource_id="r-1"),
    )

    assert messages(await server.page()) == ["in an hour", "now"]
    assert messages(await server.page("/api/v1/logs/actor/u-1")) == ["in an hour"]
    assert messages(await server.page("/api/v1/logs/resource/r-1")) == ["in an hour"]
    stats = await server.page("/api/v1/logs/stats")
    assert stats["total"] == 2
    assert sum(bucket["count"] for bucket in stats["series"]) == 2
    exported = await (await server.get("/api/v1/logs/export")).text()
    assert "in an hour" in exported


async def test_records_beyond_the_end_are_counted_with_a_way_to_include_them(store, server):
    await store.put(
        at(-(10**9), message="now"),
        at(2 * DAY_NS, message="beyond", level=3),
        at(3 * 365 * DAY_NS, message="far beyond"),
    )

    page = await server.page()
    assert messages(page) == ["now"]
    assert page["notice"].startswith("2 matching records are dated after ")
    change = page["notices"][0]["change"]
    assert messages(await server.page(**change)) == ["beyond", "far beyond", "now"]
    # only those that the search selects
    error = await server.page(q="level:ERROR")
    assert error["notice"].startswith("1 matching record is dated after ")
    assert "notice" not in await server.page(q="sourceModule:none")
    stats = await server.page("/api/v1/logs/stats")
    assert stats["total"] == 1
    assert stats["notices"][0]["change"] == change
    export = await server.get("/api/v1/logs/export")
    assert "2 matching records" in export.headers["Opslog-Notice"]
    assert "beyond" not in await export.text()
    assert "notice" not in await server.page(end="now")


async def test_without_records_ahead_statistics_end_now(store, server):
    await store.put(at(-(10**9), message="now"))

    stats = await server.page("/api/v1/logs/stats", start="-1h")

    assert stats["interval"] == 60
    assert len(stats["series"]) <= 62
