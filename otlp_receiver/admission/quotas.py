"""Rate limits per ingest key, in records and bytes per second: admit, or 429 with Retry-After.

The number of records in a request is known only after decoding. So a request is admitted while its
key's buckets are not empty, and charged afterwards; an overdraft delays the next requests. Buckets
are per process: with N receivers a key that sends to all of them has N times its rate.
"""

import math
from collections.abc import Callable

from otlp_receiver.admission.keys import KeyInfo
from otlp_receiver.errors import RateLimited

BURST_S = 2.0
"""Capacity of a bucket in seconds of its rate: SDKs send every second or every five."""
MAX_RETRY_AFTER_S = 3
"""SDKs drop a batch if Retry-After exceeds what remains of their 10 s."""


class _Bucket:
    """A token bucket, refilled at `rate` per second up to the burst; may become negative."""

    __slots__ = ("rate", "seen_s", "tokens")

    def __init__(self, rate: int, now_s: float) -> None:
        self.rate = rate
        self.tokens = rate * BURST_S
        self.seen_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until a token is available; 0 if one is."""
        full = self.rate * BURST_S
        self.tokens = min(full, self.tokens + (now_s - self.seen_s) * self.rate)
        self.seen_s = now_s
        return 0.0 if self.tokens > 0 else (1 - self.tokens) / self.rate


class RateLimits:
    """The buckets of all keys with a limit."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[tuple[int, str], _Bucket] = {}

    def admit(self, key: KeyInfo) -> None:
        """Raise RateLimited if the key has used up its records or bytes."""
        if key.records_per_s is None and key.bytes_per_s is None:
            return
        now_s = self._clock()
        for what, rate in (("records", key.records_per_s), ("bytes", key.bytes_per_s)):
            if rate is None:
                continue
            wait_s = self._bucket(key.id, what, rate, now_s).wait_s(now_s)
            if wait_s > 0:
                raise RateLimited(
                    f"the ingest key {key.name!r} is limited to {rate} {what} per second",
                    retry_after_s=max(1, min(MAX_RETRY_AFTER_S, math.ceil(wait_s))),
                )

    def charge(self, key: KeyInfo, *, records: int = 0, size_bytes: int = 0) -> None:
        """Charge a request to the key's buckets."""
        now_s = self._clock()
        if records and key.records_per_s is not None:
            self._bucket(key.id, "records", key.records_per_s, now_s).tokens -= records
        if size_bytes and key.bytes_per_s is not None:
            self._bucket(key.id, "bytes", key.bytes_per_s, now_s).tokens -= size_bytes

    def _bucket(self, key_id: int, what: str, rate: int, now_s: float) -> _Bucket:
        """The bucket; recreated if the key's rate has changed."""
        bucket = self._buckets.get((key_id, what))
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[key_id, what] = _Bucket(rate, now_s)
        return bucket
