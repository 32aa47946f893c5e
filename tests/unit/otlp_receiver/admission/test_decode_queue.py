"""DecodeQueue: first come, first served, and nobody waits for longer than was agreed."""

import asyncio

import pytest

from otlp_receiver.admission.decode_queue import DecodeQueue
from otlp_receiver.errors import ReceiverBusy


async def test_turns_are_taken_in_the_order_of_arrival():
    """Also when somebody comes at the moment when the place is free."""
    queue, order = DecodeQueue(5), []

    async def work(number):
        async with queue:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*[work(number) for number in range(20)])

    assert order == list(range(20))


async def test_whoever_waits_too_long_is_told_to_come_again():
    """503: the place is not lost to somebody who has gone."""
    queue = DecodeQueue(0.02)
    async with queue:
        with pytest.raises(ReceiverBusy):
            async with queue:
                raise AssertionError

    async with queue:
        pass


async def test_sockets_are_looked_at_between_two_turns():
    """A queue of work does not keep the event loop."""
    queue, seen = DecodeQueue(5), []

    async def work(number):
        async with queue:
            seen.append(number)

    queue = [asyncio.create_task(work(number)) for number in range(5)]
    async with queue:
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(seen.append, "event")
    await asyncio.gather(*queue)

    assert seen.index("event") < 4
