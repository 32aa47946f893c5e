"""Shutdown of the process: point 145, F16."""

import asyncio

from tests.contract.otlp.server import MemorySink, request, running
from tests.support.waiting import until


async def test_point_145_requests_in_progress_are_finished():
    """145, F16: one waits for its fsync, one is in the middle of its body."""
    sink = MemorySink(gate=asyncio.Event())
    async with running(sink=sink) as receiver:
        waiting, reading, idle = [await receiver.connect() for _ in range(3)]
        await waiting.send(request(body=b"waiting"))
        await reading.send(request(body=b"reading")[:-3])
        await until(lambda: sink.waiting == 1)

        closing = asyncio.create_task(receiver.listener.close(5))
        assert await idle.is_closed()
        await reading.send(b"ing")
        await until(lambda: sink.waiting == 2)
        sink.gate.set()
        replies = [await waiting.reply(), await reading.reply()]
        await closing

    assert [(reply.status, reply.headers["connection"]) for reply in replies] == [
        (200, "close")
    ] * 2
    assert sorted(sink.bodies) == [b"reading", b"waiting"]


async def test_point_145_a_pipelined_request_is_not_accepted():
    """145: 503 or the end of the connection; never 200 without storing."""
    sink = MemorySink(gate=asyncio.Event())
    async with running(sink=sink) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"first") + request(body=b"second"))
        await until(lambda: sink.waiting == 1)
        closing = asyncio.create_task(receiver.listener.close(5))
        await asyncio.sleep(0.05)
        sink.gate.set()

        assert (await wire.reply()).status == 200
        assert await wire.is_closed()
        await closing
    assert sink.bodies == [b"first"]


async def test_point_145_the_grace_period_is_limited():
    """145, F16: an incomplete body does not delay the shutdown forever."""
    async with running() as receiver:
        wire = await receiver.connect()
        await wire.send(request(Content_Length=1000) + b"abc")
        await until(lambda: any(one.in_request for one in receiver.server.connections))

        async with asyncio.timeout(4):
            await receiver.listener.close(0.2)
