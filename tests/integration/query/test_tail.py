"""The live tail: stored records arrive in order, filtered; slow readers get a missed count."""

import asyncio
import json
import time

import pytest

from query.live.events import EventId
from tests.integration.query.test_search import record
from tests.support.querying import make_token

TAIL = "/api/v1/logs/tail"


class Reader:
    """One client of the tail."""

    def __init__(self, response):
        self.response = response

    async def event(self):
        """The next event as (name, id, data); comments are skipped."""
        fields = {}
        async with asyncio.timeout(10):
            while True:
                line = (await self.response.content.readline()).decode().rstrip("\n")
                if not line and "data" in fields:
                    return fields.get("event"), fields.get("id"), json.loads(fields["data"])
                name, colon, value = line.partition(": ")
                if colon and name:
                    fields[name] = value

    async def messages(self, count):
        return [(await self.event())[2]["message"] for _ in range(count)]


async def tail(server, *, last="", token="", **parameters):
    headers = {"Authorization": f"Bearer {token or server.token}"}
    if last:
        headers["Last-Event-ID"] = last
    response = await server.client.get(TAIL, params=parameters, headers=headers)
    assert response.status == 200, await response.text()
    assert response.content_type == "text/event-stream"
    await response.content.readuntil(b"\n\n")
    return Reader(response)


async def test_what_is_stored_arrives(store, server):
    every, warned = await tail(server), await tail(server, q="level:>=WARN")
    begin = time.monotonic()

    await store.put(record(1, message="a"), record(2, message="b", level=3))
    await store.put(record(0, message="c", level=4))

    assert await every.messages(3) == ["a", "b", "c"]
    assert await warned.messages(2) == ["b", "c"]
    assert time.monotonic() - begin < 5


async def test_filters_and_rights_are_those_of_searches(store, server):
    found = await tail(server, sourceModule="bank", q='"x y" OR n:>5')
    hosts = await tail(server, q="resource.service.name:checkout message:audit")
    audits = await tail(server, token=make_token("AUDITOR"), kind="audit")

    await store.put(
        record(1, message="x y", source_module="bank"),
        record(2, message="x y"),
        record(3, message="seven", source_module="bank", metadata=b'{"attributes": {"n": 7}}'),
        record(4, message="audit", kind="audit"),
        record(5, message="audit log"),
    )

    assert await found.messages(2) == ["x y", "seven"]
    assert await audits.messages(1) == ["audit"]
    assert await hosts.messages(1) == ["audit log"]
    for given in ({"kind": "audit"}, {}):
        role = "NOC" if given else "AUDITOR"
        refused = await server.get(TAIL, token=make_token(role), **given)
        assert refused.status == 403
    for bad in ({"q": "(x"}, {"start": "-1h"}, {"limit": "5"}):
        assert (await server.get(TAIL, **bad)).status == 400


async def test_a_reconnecting_reader_gets_what_it_missed(store, server):
    reader = await tail(server)
    await store.put(record(1, message="a"), record(2, message="b"), record(3, message="c"))
    _, first, _ = await reader.event()
    reader.response.close()
    await store.put(record(4, message="d"))

    again = await tail(server, last=first)

    assert await again.messages(3) == ["b", "c", "d"]


async def test_a_server_that_has_just_started_replays_as_well(store, server, monkeypatch):
    reader = await tail(server)
    await store.put(record(1, message="a"), record(2, message="b"))
    _, first, _ = await reader.event()
    monkeypatch.setattr(server.catalogue, "_segments", ())

    assert await (await tail(server, last=first)).messages(1) == ["b"]


async def test_what_was_closed_and_sealed_meanwhile_is_replayed(store, server, owner_pool):
    reader = await tail(server)
    await store.put(record(1, message="a"), record(2, message="b"))
    _, first, _ = await reader.event()
    await store.roll("info")
    await owner_pool.execute("UPDATE segments SET state = 'sealed' WHERE state = 'closed'")
    await server.catalogue.refresh()
    await store.put(record(3, message="c"))

    assert await (await tail(server, last=first)).messages(2) == ["b", "c"]


@pytest.mark.parametrize("last", ["x", "1", "1.x", "9" * 30 + ".1", "9" * 19 + ".1", "-1.2"])
async def test_an_unknown_event_id_is_ignored(last, server):
    assert EventId.parse(last) is None
    (await tail(server, last=last)).response.close()


async def test_a_slow_reader_gets_the_number_of_missed_records(store, server, monkeypatch):
    monkeypatch.setattr("query.live.tail.MAX_QUEUED", 3)
    reader = await tail(server)

    await store.put(*(record(n, message=f"m{n}") for n in range(10)))

    assert await reader.messages(3) == ["m0", "m1", "m2"]
    name, _, data = await reader.event()
    assert (name, data) == ("missed", {"count": 7})


async def test_a_flood_is_cut_and_counted(store, server, monkeypatch):
    monkeypatch.setattr("query.live.tail.MAX_ROWS", 4)
    reader, other = await tail(server), await tail(server, q="m9")

    await store.put(*(record(n, message=f"m{n}") for n in range(10)))

    assert len(await reader.messages(4)) == 4
    assert (await reader.event())[2] == {"count": 6}
    assert (await other.event())[2] == {"count": 1}


async def test_silence_is_broken_by_heartbeats(server, monkeypatch):
    monkeypatch.setattr("query.api.records.live.HEARTBEAT_S", 0.05)
    reader = await tail(server)

    async with asyncio.timeout(5):
        assert await reader.response.content.readuntil(b"\n\n") == b": \n\n"


async def test_one_read_serves_all_readers(store, server, monkeypatch):
    from storage.database.read import Session

    statements = []
    before = Session.rows

    async def counted(self, statement, **rest):
        if "m0" in statement.text:
            statements.append(statement)
        return await before(self, statement, **rest)

    monkeypatch.setattr(Session, "rows", counted)
    readers = [await tail(server, q=f"m{n}") for n in range(6)]

    await store.put(*(record(n, message=f"m{n}") for n in range(6)))

    assert [await reader.messages(1) for reader in readers] == [[f"m{n}"] for n in range(6)]
    assert len(statements) == 1


async def test_tails_of_one_token_are_limited_apart_from_its_queries(server):
    readers = [await tail(server) for _ in range(8)]

    refused = await server.get(TAIL)

    assert refused.status == 429
    assert (await server.get("/api/v1/logs")).status == 200
    readers.pop().response.close()
    async with asyncio.timeout(5):
        while (response := await server.get(TAIL)).status != 200:
            await asyncio.sleep(0.05)
    response.close()


async def test_a_tail_ends_with_its_token(server, monkeypatch):
    monkeypatch.setattr("query.api.records.live.HEARTBEAT_S", 0.05)
    token = make_token("NOC", exp=int(time.time()) - 29)  # the leeway is 30 s

    reader = await tail(server, token=token)

    async with asyncio.timeout(10):
        await reader.response.content.read()


async def test_a_tail_ends_with_its_session(store, server):
    """T23: after a logout, the cookie's tail receives nothing more."""
    own = {"X-Opslog-Viewer": "1"}
    token = {"Authorization": f"Bearer {server.token}"}
    await server.client.post("/api/v1/session", headers={**own, **token})
    response = await server.client.get(TAIL)
    reader = Reader(response)
    await store.put(record(1, message="before"))
    assert await reader.messages(1) == ["before"]

    await server.client.delete("/api/v1/session", headers=own)
    await store.put(record(2, message="after"))

    async with asyncio.timeout(10):
        assert b"after" not in await response.content.read()


async def test_a_tail_is_recorded_at_its_start(server):
    await tail(server, q="x")

    assert [(item.action, item.query) for item in server.accesses] == [("logs.tail", "q=x")]
