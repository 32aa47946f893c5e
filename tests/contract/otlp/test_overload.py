"""Overload: points 141, 142, 146, and rate limits of keys (T6)."""

import pytest

from config.settings import SpoolSettings
from otlp_receiver.admission.keys import KEYLESS, KeyInfo
from otlp_receiver.admission.quotas import RateLimits
from otlp_receiver.errors import RateLimited
from otlp_receiver.export import Encoding
from otlp_receiver.http.responses import refusal
from storage.errors import SpoolFull, SpoolSlow
from tests.contract.otlp.keyring import ring_of
from tests.contract.otlp.server import JSON, PROTOBUF, MemorySink, Outcome, running


class Clock:
    """A clock that advances only explicitly."""

    now_s = 1000.0

    def __call__(self):
        return self.now_s


def key(**limits):
    """A key with these limits."""
    return KeyInfo(id=7, name="shop", rights=KEYLESS.rights, **limits)


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_point_141_a_key_beyond_its_rate_gets_429(kind):
    """141: with Retry-After and a Status; other keys are not affected."""
    keys, secrets = ring_of(flood={"records_per_s": 10}, shop={})
    async with running(keys=keys, sink=MemorySink(Outcome(received=1000))) as receiver:
        replies = [
            await receiver.post(
                body=b"abc", Content_Type=kind, Authorization=f"Bearer {secrets[name]}"
            )
            for name in ("flood", "flood", "shop", "shop")
        ]

    assert [reply.status for reply in replies] == [200, 429, 200, 200]
    assert 1 <= int(replies[1].headers["retry-after"]) <= 3
    assert replies[1].rpc.code == 8
    assert replies[1].headers["content-type"] == kind


async def test_point_141_bytes_are_counted_after_decompression():
    """141: a bomb below the limit does not circumvent the rate."""
    import gzip

    keys, secrets = ring_of(shop={"bytes_per_s": 1000})
    async with running(keys=keys) as receiver:
        statuses = [
            (
                await receiver.post(
                    body=gzip.compress(bytes(100_000)),
                    Content_Encoding="gzip",
                    Authorization=f"Bearer {secrets['shop']}",
                )
            ).status
            for _ in range(2)
        ]

    assert statuses == [200, 429]


def test_a_bucket_is_refilled_over_time():
    """A rate of 10 per second: after a burst of 30 records the sender has to wait."""
    clock = Clock()
    limits = RateLimits(clock)
    shop = key(records_per_s=10)

    limits.admit(shop)
    limits.charge(shop, records=30)  # 20 were there: two seconds' worth
    with pytest.raises(RateLimited) as refused:
        limits.admit(shop)
    clock.now_s += 1.2
    limits.admit(shop)

    assert refused.value.wait_s == 2


@pytest.mark.parametrize(("over", "wait_s"), [(1, 1), (25, 3), (10_000, 3)])
def test_retry_after_is_at_most_three_seconds(over, wait_s):
    """SDKs drop a batch if it is longer."""
    limits = RateLimits(Clock())
    shop = key(bytes_per_s=10)

    limits.charge(shop, size_bytes=20 + over - 1)
    with pytest.raises(RateLimited) as refused:
        limits.admit(shop)

    assert refused.value.wait_s == wait_s


def test_a_changed_rate_applies_immediately():
    """For example after a complaint."""
    limits = RateLimits(Clock())
    limits.charge(key(records_per_s=10), records=10_000)

    limits.admit(key(records_per_s=1000))


def test_point_142_503_is_spread_over_one_to_three_seconds():
    """142: integers, the only form that all clients parse, and randomized."""
    error = SpoolFull(used_bytes=1, limit_bytes=1, free_bytes=0)

    delays = {refusal(error, Encoding.JSON).headers["Retry-After"] for _ in range(200)}

    assert delays == {"1", "2", "3"}


async def test_point_142_a_full_spool_is_503():
    """142: nothing was stored."""
    error = SpoolFull(used_bytes=1, limit_bytes=1, free_bytes=0)
    async with running(sink=MemorySink(error)) as receiver:
        reply = await receiver.post(body=b"abc")

    assert reply.status == 503
    assert reply.rpc.message.startswith("spool_full")


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_point_146_a_hanging_disk_is_503_before_the_sender_times_out(kind):
    """146: within half of the SDKs' 10 s; tests/unit/storage/spool/test_spool.py lets a disk hang."""
    assert SpoolSettings().append_timeout_s <= 5
    async with running(sink=MemorySink(SpoolSlow(5))) as receiver:
        reply = await receiver.post(body=b"abc", Content_Type=kind)

    assert reply.status == 503
    assert 1 <= int(reply.headers["retry-after"]) <= 3
    assert reply.rpc.message.startswith("spool_slow")
