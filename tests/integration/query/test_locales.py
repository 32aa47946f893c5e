"""Other alphabets, time zones and spreadsheets; and the pod that a record's context is of."""

import unicodedata
from datetime import datetime

import pytest

from storage.record.canonical import canonical
from tests.integration.query.test_search import BASE_NS, record
from tests.support.records import make_stream

START = "2026-09-21T00:00:00Z"
WORDS = ["Café", "Ångström", "über", "한국어", "Việt", "schön", "ñandú"]


async def test_words_are_found_in_any_unicode_form(store, server):
    forms = ("NFC", "NFD")
    await store.put(
        *(
            record(10 * n + m, message=f"x {unicodedata.normalize(form, word)} {n}")
            for n, word in enumerate(WORDS)
            for m, form in enumerate(forms)
        )
    )

    for number, word in enumerate(WORDS):
        for form in forms:
            for case in (str, str.upper, str.lower):
                text = unicodedata.normalize(form, case(word))
                for q in (text, f'"{text} {number}"', f"message:{text}"):
                    page = await server.page(q=q, start=START)
                    assert len(page["data"]) == 2, (q, form)
                    stats = await server.page("/api/v1/logs/stats", q=q, start=START)
                    assert stats["total"] == 2
                page = await server.page(q=f"-{text}", start=START)
                assert len(page["data"]) == 2 * len(WORDS) - 2


def at(text):
    return int(datetime.fromisoformat(text).timestamp()) * 10**9 - BASE_NS


@pytest.mark.parametrize(
    ("zone", "starts"),
    [
        ("Europe/Berlin", ["2026-09-20T22:00:00", "2026-09-21T22:00:00"]),
        ("Asia/Kolkata", ["2026-09-20T18:30:00", "2026-09-21T18:30:00"]),
        ("UTC", ["2026-09-21T00:00:00", "2026-09-22T00:00:00"]),
    ],
)
async def test_days_are_those_of_a_time_zone(store, server, zone, starts):
    await store.put(
        record(at("2026-09-21T18:00:00+00:00")),
        record(at("2026-09-21T21:59:59+00:00"), level=3),
        record(at("2026-09-22T00:00:00+00:00")),
    )

    stats = await server.page(
        "/api/v1/logs/stats",
        start="2026-09-21T00:00:00Z",
        end="2026-09-22T12:00:00Z",
        interval="1d",
        timezone=zone,
    )

    assert [bucket["start"][:19] for bucket in stats["series"]] == starts
    expected = {"Asia/Kolkata": [1, 2]}.get(zone, [2, 1])
    assert [bucket["count"] for bucket in stats["series"]] == expected
    assert stats["total"] == 3


async def test_an_unknown_time_zone_is_refused(server):
    response = await server.get("/api/v1/logs/stats", timezone="Europe/Nowhere")

    assert response.status == 400
    assert (await response.json())["errors"][0]["parameter"] == "timezone"


async def test_csv_has_a_byte_order_mark_on_request(store, server):
    await store.put(record(1, message="Größe"))

    marked = await (await server.get("/api/v1/logs/export", format="csv", bom="true")).read()
    plain = await (await server.get("/api/v1/logs/export", format="csv")).read()

    assert marked == b"\xef\xbb\xbf" + plain
    assert "Größe" in marked.decode("utf-8-sig")
    for wrong in ({"bom": "true"}, {"bom": "yes", "format": "csv"}):
        assert (await server.get("/api/v1/logs/export", **wrong)).status == 400


def of_pod(pod, offset, **values):
    resource = {"service.name": "checkout", "service.instance.id": f"{pod}-{offset}"}
    resource |= {"k8s.pod.name": pod, "host.name": "node-1"} if pod else {}
    stream = make_stream(canonical(resource))
    return stream, record(offset, stream_id=stream.id, **values)


async def test_context_is_of_the_same_pod_and_says_so(store, server):
    records = [of_pod("a", 1), of_pod("b", 2), of_pod("a", 3), of_pod("b", 4), of_pod("c", 5)]
    for stream, item in records:
        await store.put(item, stream=stream)
    ids = [item["id"] for item in (await server.page(start=START, order="asc"))["data"]]

    page = await server.page(f"/api/v1/logs/{ids[2]}/context")
    alone = await server.page(f"/api/v1/logs/{ids[4]}/context")

    assert page["instance"] == {"name": "k8s.pod.name", "value": "a"}
    assert [item["id"] for item in page["before"]] == [ids[0]]
    assert page["after"] == []
    # a pod without other records near: the whole service
    assert alone["instance"] is None
    assert [item["id"] for item in alone["before"]] == ids[:4]
