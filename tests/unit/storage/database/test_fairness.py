"""Places are given to callers in turn, whatever the number of their requests."""

import asyncio

import pytest

from storage.database.fairness import CALLER, FairQueue


class Crowd:
    """Requests of several callers; `order` is who got a place, in that order."""

    def __init__(self, queue):
        self.queue = queue
        self.order = []
        self.tasks = []

    async def arrive(self, caller, count=1):
        """Requests that take a place, note it, and leave it at the next turn of the loop."""

        async def request():
            CALLER.set(caller)
            place = await self.queue.enter()
            self.order.append(caller)
            await asyncio.sleep(0)
            self.queue.leave(place)

        self.tasks += [asyncio.create_task(request()) for _ in range(count)]
        await asyncio.sleep(0)

    async def end(self):
        async with asyncio.timeout(5):
            await asyncio.gather(*self.tasks)


async def enter(queue, caller):
    """Take a place for a caller, in a task of its own."""

    async def take():
        CALLER.set(caller)
        return await queue.enter()

    return await asyncio.create_task(take())


async def test_a_caller_with_one_request_waits_for_one_turn_of_the_others():
    queue = FairQueue(1)
    crowd = Crowd(queue)
    held = await enter(queue, "first")
    await crowd.arrive("greedy", 16)
    await crowd.arrive("modest", 2)
    await crowd.arrive("third", 1)

    queue.leave(held)
    await crowd.end()

    assert crowd.order[:5] == ["greedy", "modest", "third", "greedy", "modest"]
    assert crowd.order[5:] == ["greedy"] * 14


async def test_one_caller_leaves_a_place_to_others():
    queue = FairQueue(4, reserved=1)
    held = [await enter(queue, "greedy") for _ in range(3)]
    fourth = asyncio.create_task(enter(queue, "greedy"))
    await asyncio.sleep(0.01)

    other = await enter(queue, "modest")

    assert not fourth.done()
    queue.leave(other)
    await asyncio.sleep(0.01)
    assert not fourth.done()
    queue.leave(held.pop())
    assert await fourth == "greedy"


async def test_a_single_place_is_for_everybody():
    queue = FairQueue(1, reserved=1)

    assert await enter(queue, "only") == "only"


async def test_who_gives_up_waiting_neither_takes_nor_loses_a_place():
    queue = FairQueue(1)
    held = await enter(queue, "a")
    with pytest.raises(TimeoutError):
        await queue.enter(0.01)
    waiting = [asyncio.create_task(enter(queue, "b")) for _ in range(3)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    waiting[1].cancel()
    queue.leave(held)

    async with asyncio.timeout(5):
        queue.leave(await waiting[2])
        queue.leave(await enter(queue, "c"))


async def test_a_place_that_comes_while_the_wait_is_given_up_is_for_the_next():
    queue = FairQueue(1)
    held = await enter(queue, "a")
    first = asyncio.ensure_future(queue.enter())
    second = asyncio.create_task(enter(queue, "b"))
    await asyncio.sleep(0.01)

    queue.leave(held)
    first.cancel()

    async with asyncio.timeout(5):
        assert await second == "b"
