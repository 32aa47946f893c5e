"""Record counts over time, by one field: handler, models, route."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import orjson
from aiohttp import web

from config.errors import BadInput
from query.api.http.call import Call, Route
from query.api.http.models import Model
from query.api.http.responses import conditional_response
from query.api.records.models import Explanation, NoticeModel, Partial
from query.api.records.querying import Querying, ScopedSearch, Sources, notes, read_route
from query.planning.counting import (
    BY,
    FIRST_COUNTED,
    CountRequest,
    Counts,
    bucket_of,
    count_records,
    is_counted,
)
from query.planning.local_buckets import LocalBuckets, zone_of
from query.planning.notices import last_ns
from query.planning.search import STATS, Notice, Search
from storage.database.read import Session
from storage.filtering.resolve import resolve
from storage.record.fields import LEVEL, Field
from storage.record.times import microseconds_of, rfc3339_ns

MAX_BUCKETS = 2_000
_TARGET_BUCKETS = 100
_STEPS_S = (
    *(1, 5, 10, 15, 30, 60, 5 * 60, 10 * 60, 15 * 60, 30 * 60),
    *(3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400),
)
_INTERVAL = re.compile(r"(\d{1,6})(s|m|h|d|w)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_S_NS = 10**9


class ValueCount(Model):
    """A value and how many records have it."""

    value: str
    count: int


class Bucket(Model):
    """The records of one interval."""

    start: datetime
    count: int
    values: dict[str, int]
    """By the value of the field `by`."""


class Stats(Model):
    """How many records there are."""

    total: int
    start: datetime
    end: datetime
    interval: int | None
    """Length of a bucket in seconds; null without a series."""
    totals: list[ValueCount]
    series: list[Bucket]
    notice: str = ""
    notices: tuple[NoticeModel, ...] = ()
    partial: Partial | None = None
    explain: Explanation | None = None


class StatisticsRoutes:
    """The route that counts records."""

    def __init__(self, querying: Querying) -> None:
        self._querying = querying
        self._from = querying.sources

    def routes(self) -> Iterable[Route]:
        """GET /api/v1/logs/stats."""
        yield read_route(
            "/logs/stats",
            self.stats,
            action="logs.stats",
            summary="Count records",
            parameters=STATS,
            response=Stats,
        )

    async def stats(self, call: Call) -> web.Response:
        """GET /api/v1/logs/stats."""
        search = await self._querying.search(call, STATS)
        by = _by(search)
        scoped = self._querying.scoped(call, search)
        async with self._from.reader.session(
            is_lookup=self._is_lookup(search, scoped, by)
        ) as session:
            span = await time_span(session, self._from, scoped)
            step_s = _step(search, span)
            local = _local(search, step_s)
            short_s = step_s if local is None else local.short_s(*span.seconds)
            found = await count(session, self._from, scoped, span, by, short_s)
            if local is not None:
                local.together(found)
            remarks = await self._querying.notices(session, scoped, is_empty=not found.counts)
        call.rows = 0
        body = orjson.dumps(_document(remarks, span, step_s, local, found))
        return conditional_response(call, body, is_closed=self._querying.is_closed(scoped))

    def _is_lookup(self, search: Search, scoped: ScopedSearch, by: Field) -> bool:
        """Whether counters suffice, except for some seconds: then use cached plans."""
        if scoped.start_ns is None:
            return False
        span = Span(scoped.start_ns, _end_ns(self._from, scoped))
        return is_counted(scoped.untimed, by, _step(search, span))


@dataclass(frozen=True, slots=True)
class Span:
    """A time range with both ends."""

    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> tuple[int, int]:
        """Both ends in whole seconds that contain it."""
        return self.start_ns // _S_NS, -(-self.end_ns // _S_NS)


async def time_span(session: Session, sources: Sources, scoped: ScopedSearch) -> Span:
    """The time range of a search; without a start, from the oldest record on.

    Without an end it ends now, or after the last record that is dated ahead within the default end.
    """
    end_ns = _end_ns(sources, scoped)
    if "end" not in scoped.search.typed:
        now_ns = max(sources.now_ns(), scoped.start_ns or 0)
        end_ns = min(end_ns, max(now_ns, await last_ns(session) or 0))
    if scoped.start_ns is not None:
        return Span(scoped.start_ns, end_ns)
    first = (await session.rows(FIRST_COUNTED))[0]["hour"]
    start_ns = end_ns if first is None else microseconds_of(first) * 1000
    return Span(min(start_ns, end_ns), end_ns)


def _end_ns(sources: Sources, scoped: ScopedSearch) -> int:
    return sources.now_ns() if scoped.end_ns is None else scoped.end_ns


async def count(  # noqa: PLR0917 - all that a count depends on
    session: Session,
    sources: Sources,
    scoped: ScopedSearch,
    span: Span,
    by: Field,
    step_s: int | None,
) -> Counts:
    """Count the records of a search by a field, in buckets of `step_s`."""
    where = await resolve(session, scoped.untimed)
    request = CountRequest(where, span.start_ns, span.end_ns, by, step_s)
    return await count_records(session, sources.pages, request)


def _by(search: Search) -> Field:
    name = search.only("by") or LEVEL.name
    if name not in BY:
        raise BadInput(f"Unknown field. Use {', '.join(BY)}", where="by")
    return BY[name]


def _step(search: Search, span: Span) -> int | None:
    """Seconds of a bucket; None: no series."""
    text = search.only("interval") or "auto"
    seconds = (span.end_ns - span.start_ns) // _S_NS + 1
    if text == "none":
        return None
    if text == "auto":
        target = -(-seconds // _TARGET_BUCKETS)
        fitting = next((step for step in _STEPS_S if step >= target), None)
        return fitting or -(-target // _STEPS_S[-1]) * _STEPS_S[-1]
    found = _INTERVAL.fullmatch(text)
    step = int(found[1]) * _UNIT_S[found[2]] if found else 0
    if step <= 0:
        raise BadInput("interval must be auto, none, or like 30s, 5m, 1h, 1d", where="interval")
    if seconds // step > MAX_BUCKETS:
        raise BadInput(f"More than {MAX_BUCKETS} buckets. Use a longer interval", where="interval")
    return step


def _local(search: Search, step_s: int | None) -> LocalBuckets | None:
    """Buckets in a time zone; None in UTC, and for those shorter than an hour."""
    name = search.only("timezone")
    zone = None if name is None else zone_of(name)
    if zone is None or step_s is None or step_s % _UNIT_S["h"]:
        return None
    return LocalBuckets(zone, step_s)


def _document(
    notices: Iterable[Notice],
    span: Span,
    step_s: int | None,
    local: LocalBuckets | None,
    found: Counts,
) -> dict[str, object]:
    document: dict[str, object] = {
        "total": sum(found.counts.values()),
        "start": rfc3339_ns(span.start_ns),
        "end": rfc3339_ns(span.end_ns),
        "interval": step_s,
        "totals": [{"value": value, "count": count} for value, count in found.totals()],
        "series": [] if step_s is None else _series(span, step_s, local, found),
    }
    return document | notes(notices, found.missing)


def _series(
    span: Span, step_s: int, local: LocalBuckets | None, found: Counts
) -> list[dict[str, object]]:
    """All buckets of the range, including empty ones."""
    by_bucket: dict[int, dict[str, int]] = defaultdict(dict)
    for (bucket, value), count in found.counts.items():
        by_bucket[bucket][value] = count
    start_s, end_s = span.seconds
    begins: Iterable[int] = range(bucket_of(start_s, step_s), end_s, step_s)
    if local is not None:
        begins = local.begins(start_s, end_s)
    return [
        {
            "start": rfc3339_ns(at * _S_NS),
            "count": sum(by_bucket[at].values()) if at in by_bucket else 0,
            "values": by_bucket.get(at, {}),
        }
        for at in begins
    ]
