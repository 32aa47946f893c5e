"""DecodeQueue: first come, first served, with a maximum waiting time."""

import asyncio

import pytest

from otlp_receiver.admission.decode_queue import DecodeQueue
from otlp_receiver.errors import ReceiverBusy


async def test_slots_are_assigned_in_order_of_arrival():
    """Also if a request arrives just as the slot becomes free."""
    queue, order = DecodeQueue(5), []

    async def work(number):
        async with queue:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*[work(number) for number in range(20)])

    assert order == list(range(20))


async def test_a_timeout_in_the_queue_is_503():
    """The slot is not lost to a request that has given up."""
    queue = DecodeQueue(0.02)
    async with queue:
        with pytest.raises(ReceiverBusy):
            async with queue:
                raise AssertionError

    async with queue:
        pass


async def test_sockets_are_polled_between_two_requests():
    """The queue does not block the event loop."""
    queue, seen = DecodeQueue(5), []

    async def work(number):
        async with queue:
            seen.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    async with queue:
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(seen.append, "event")
    await asyncio.gather(*tasks)

    assert seen.index("event") < 4
