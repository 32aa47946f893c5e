"""The live tail: one read of the database per notification, for all subscribers.

    notification of batches -> their parts (leaf, time range) -> one statement over these leaves,
    which evaluates every subscriber's filter for each row -> each subscriber's bounded queue

Delivery is at least once: after a reconnect the last second may be repeated. A subscriber that
reads slowly, or matches more than MAX_ROWS per read, receives the number of missed records.
"""

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from config.errors import OpslogError
from query.auth.shared_state import SharedState, slot
from query.live.events import Event, EventId
from query.planning.compile import RECORD
from query.planning.packed.batches import BatchScan
from query.planning.packed.reading import PackReader
from query.planning.pages import Catalogue
from query.render.records import record_json
from storage.database.read import (
    NO_STREAM,
    LeafGone,
    QueryTimeout,
    Reader,
    Row,
    Session,
    Statement,
    Streams,
)
from storage.filtering.conditions import Arguments, condition_of, leaf_table
from storage.filtering.filters import NOTHING, Filter, Or
from storage.filtering.resolve import resolve
from storage.packs.errors import PackDamaged
from storage.segments.catalogue import Segment
from storage.segments.zone_maps import leaf_of
from storage.writing.batches import BatchRange

_log = logging.getLogger(__name__)

MAX_ROWS = 2_000
"""Records of one read; there are at most ten reads per second."""
MAX_QUEUED = 2_000
MAX_QUEUED_BYTES = 8 * 2**20
MAX_SUBSCRIBERS = 200
MAX_PER_TOKEN = 8
_PAUSE_S = 0.1
_REMEMBERED = 20_000
_REPLAY_SLACK_MS = 10 * 60_000
_CLOCK_SKEW = timedelta(minutes=1)
"""Batch ids and times of arrival may be from the clocks of two machines."""
_MS_SHIFT = 22
"""A batch id is milliseconds since 1970 above these bits (storage/spool/batch_ids.py)."""


@dataclass(eq=False, slots=True)
class Subscriber:
    """One client of the live tail."""

    where: Filter
    token: str
    missed: int = 0
    """Records missed since the last report."""
    _queue: deque[Event] = field(default_factory=deque)
    _deferred: deque[Event] | None = None
    _bytes: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, event: Event, *, is_replayed: bool = False) -> None:
        """Queue a record, or count it as missed if the queue is full."""
        if self._deferred is not None and not is_replayed:
            self._deferred.append(event)
            return
        if len(self._queue) >= MAX_QUEUED or self._bytes > MAX_QUEUED_BYTES:
            self.miss(1)
            return
        self._queue.append(event)
        self._bytes += len(event.body)
        self._wake.set()

    def begin_replay(self) -> None:
        """Defer new records until `end_replay`, after the replayed ones."""
        self._deferred = deque(maxlen=MAX_QUEUED)

    def end_replay(self) -> None:
        """Queue the deferred records that were not replayed."""
        replayed = {event.id for event in self._queue}
        later, self._deferred = self._deferred or (), None
        for event in later:
            if event.id not in replayed:
                self.offer(event)

    def miss(self, count: int) -> None:
        """Count missed records."""
        self.missed += count
        self._wake.set()

    async def take(self, timeout_s: float) -> tuple[list[Event], int]:
        """The queued records, and how many were missed after them; neither after a timeout."""
        if not self._queue and not self.missed:
            self._wake.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                return [], 0
        events, missed = list(self._queue), self.missed
        self._queue.clear()
        self._bytes, self.missed = 0, 0
        return events, missed


class Notifications(Protocol):
    """Source of notifications of stored batches (storage/writing/batches.py)."""

    async def next(self) -> BatchRange:
        """Wait for batches stored since the last call."""
        ...


class LiveTail:
    """Reads for all subscribers; `run` is a task of the query server."""

    def __init__(
        self,
        reader: Reader,
        catalogue: Catalogue,
        streams: Streams,
        notifications: Notifications,
        packs: PackReader | None = None,
        *,
        state: SharedState | None = None,
    ) -> None:
        self._state = state or SharedState.alone()
        self._packs = packs or PackReader(None)
        self._reader = reader
        self._catalogue = catalogue
        self._streams = streams
        self._notifications = notifications
        self._subscribers: set[Subscriber] = set()
        self._seen: OrderedDict[int, None] = OrderedDict()

    @contextmanager
    def subscribed(self, where: Filter, token: str) -> Iterator[Subscriber]:
        """A subscriber within the block. Raises TooManyQueries."""
        own, every = f"At most {MAX_PER_TOKEN} live tails per token", "Too many live tails"
        with (
            slot(self._state, f"{token} live", MAX_PER_TOKEN, own),
            slot(self._state, "live", MAX_SUBSCRIBERS, every),
        ):
            subscriber = Subscriber(where, token)
            self._subscribers.add(subscriber)
            try:
                yield subscriber
            finally:
                self._subscribers.discard(subscriber)

    async def run(self) -> None:
        """Read on each notification while there are subscribers, until cancelled."""
        pending: BatchRange | None = None
        while True:
            batches = await self._notifications.next()
            pending = batches if pending is None else pending.joined(batches)
            if self._subscribers:
                try:
                    await self._read(pending)
                except OpslogError as error:
                    # The next notification covers these batches as well.
                    _log.warning("live tail: read failed: %s", error.code)
                    await asyncio.sleep(_PAUSE_S)
                    continue
            pending = None
            await asyncio.sleep(_PAUSE_S)

    async def _read(self, batches: BatchRange) -> None:
        async with self._reader.session() as session:
            parts = await self._parts(session, batches)
            fresh = [part for part in parts if part["batch_id"] not in self._seen]
            if not fresh:
                return
            subscribers = list(self._subscribers)
            await self._deliver(session, _leaves(fresh), subscribers)
        for part in fresh:
            self._seen[part["batch_id"]] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    async def replay(self, subscriber: Subscriber, last: EventId) -> None:
        """Send a reconnected subscriber what was stored since the last record it received."""
        subscriber.begin_replay()
        try:
            async with self._reader.session() as session:
                first = last.batch_id - (_REPLAY_SLACK_MS << _MS_SHIFT)
                await self._refresh_catalogue(session)
                tables = self._segments(first, is_packed=False)
                parts = await session.rows(Statement(_PARTS_SINCE, (tables, first, last.batch_id)))
                leaves = _leaves(parts)
                # The parts of packed segments are in their packs.
                packed = self._segments(first, is_packed=True)
                if packed:
                    batches = await session.rows(Statement(_BATCHES_SINCE, (first, last.batch_id)))
                    ids = tuple(row["batch_id"] for row in batches)
                    leaves += [_Leaf(segment, ids, None) for segment in packed]
                await self._deliver(session, leaves, [subscriber], after=last)
        finally:
            subscriber.end_replay()

    async def _parts(self, session: Session, batches: BatchRange) -> list[Row]:
        await self._refresh_catalogue(session)
        return await session.rows(
            Statement(_PARTS_BETWEEN, (self._segments(batches.first), batches.first, batches.last))
        )

    async def _refresh_catalogue(self, session: Session) -> None:
        newest = max((item.number for item in self._catalogue.segments()), default=0)
        row = (await session.rows(Statement(_NEWEST)))[0]
        if (row["newest"] or 0) > newest:
            await self._catalogue.refresh()

    def _segments(self, first: int, *, is_packed: bool | None = None) -> list[int]:
        """Segments that may contain batches from this one on, also ones packed since."""
        since = datetime.fromtimestamp((max(first, 0) >> _MS_SHIFT) / 1000, UTC) - _CLOCK_SKEW
        return [
            item.number
            for item in self._catalogue.segments()
            if (item.rows is None or (item.max_received_at and item.max_received_at >= since))
            and is_packed in {None, item.is_packed}
        ]

    async def _deliver(
        self,
        session: Session,
        leaves: Sequence["_Leaf"],
        subscribers: Sequence[Subscriber],
        after: EventId | None = None,
    ) -> None:
        wheres = [await resolve(session, subscriber.where) for subscriber in subscribers]
        try:
            found = [await self._read_leaf(session, leaf, wheres) for leaf in leaves]
        except LeafGone:
            # Packed meanwhile: then it is read from its pack.
            await self._catalogue.refresh()
            found = [await self._read_leaf(session, leaf, wheres) for leaf in leaves]
        rows = [row for one in found for row in one.rows]
        given = await self._offer(session, rows, subscribers, after)
        for one in found:
            for number, count in enumerate(one.counts):
                subscribers[number].miss(max(count - given[one.segment, number], 0))

    async def _read_leaf(
        self, session: Session, leaf: "_Leaf", wheres: Sequence[Filter]
    ) -> "_Found":
        """The rows of some batches in one segment. Raises LeafGone."""
        segments = {item.number: item for item in self._catalogue.segments()}
        segment = segments.get(leaf.segment)
        if segment is not None and segment.is_packed:
            return await self._read_pack(session, segment, leaf, wheres)
        rows = await session.rows(_statement(leaf, wheres))
        if len(rows) <= MAX_ROWS:
            return _Found(leaf.segment, rows, [])
        counts = (await session.rows(_count_statement(leaf, wheres)))[0]
        marks = [counts[f"m{number}"] for number in range(len(wheres))]
        return _Found(leaf.segment, rows[:MAX_ROWS], marks)

    async def _read_pack(
        self, session: Session, segment: Segment, leaf: "_Leaf", wheres: Sequence[Filter]
    ) -> "_Found":
        try:
            pack = await asyncio.to_thread(self._packs.open, leaf_of(segment))
            scan = BatchScan(pack, leaf.batch_ids, wheres, MAX_ROWS + 1)
            if not await self._packs.finish(scan, session.deadline_s):
                raise QueryTimeout
        except PackDamaged as error:
            # Its records are lost to the live tail; queries name the segment.
            self._packs.report(segment.number, error)
            return _Found(segment.number, [], [])
        is_cut = len(scan.rows) > MAX_ROWS
        return _Found(segment.number, [*scan.rows[:MAX_ROWS]], scan.counts if is_cut else [])

    async def _offer(
        self,
        session: Session,
        rows: Sequence[Row],
        subscribers: Sequence[Subscriber],
        after: EventId | None,
    ) -> Counter[tuple[int, int]]:
        """Queue rows in order of arrival; the counts by (segment, number of the subscriber)."""
        streams = await self._streams.of(session, [row["stream_id"] for row in rows])
        given: Counter[tuple[int, int]] = Counter()
        for row in sorted(rows, key=lambda item: (item["batch_id"], item["position"])):
            event_id = EventId(row["batch_id"], row["position"])
            is_seen = after is not None and after.covers(event_id)
            event = Event(event_id, record_json(row, streams.get(row["stream_id"], NO_STREAM)))
            for number, subscriber in enumerate(subscribers):
                if row[f"m{number}"]:
                    given[row["segment"], number] += 1
                    if not is_seen:
                        subscriber.offer(event, is_replayed=after is not None)
        return given


_NEWEST = "SELECT max(segment) AS newest FROM segments WHERE state <> 'dropped'"
_PARTS_COLUMNS = "p.segment, p.batch_id, p.min_created_at, p.max_created_at, p.odd_times"
_PARTS_BETWEEN = f"""
SELECT {_PARTS_COLUMNS}
  FROM ingest_parts AS p
 WHERE p.segment = ANY($1::integer[]) AND p.batch_id BETWEEN $2 AND $3
 ORDER BY p.batch_id
"""  # noqa: S608 - a constant
# Stored since that batch, plus a second for transactions that were in progress.
_PARTS_SINCE = f"""
SELECT {_PARTS_COLUMNS}
  FROM ingest_parts AS p
  JOIN ingest_batches AS b USING (batch_id)
 WHERE p.segment = ANY($1::integer[]) AND p.batch_id >= $2
   AND b.stored_at >= (SELECT l.stored_at - interval '1 second'
                         FROM ingest_batches AS l WHERE l.batch_id = $3)
 ORDER BY p.batch_id
"""  # noqa: S608 - a constant


_BATCHES_SINCE = """
SELECT b.batch_id FROM ingest_batches AS b
 WHERE b.batch_id >= $1
   AND b.stored_at >= (SELECT l.stored_at - interval '1 second'
                         FROM ingest_batches AS l WHERE l.batch_id = $2)
"""


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read of a segment."""

    segment: int
    rows: list[Row]
    counts: list[int]
    """How many rows each filter selects, if not all of them were read."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    segment: int
    batch_ids: tuple[int, ...]
    span: tuple[object, object] | None
    """Minimum and maximum created_at; None if some row may be outside."""


def _leaves(parts: Sequence[Row]) -> list[_Leaf]:
    by_segment: dict[int, list[Row]] = {}
    for part in parts:
        by_segment.setdefault(part["segment"], []).append(part)
    found = []
    for segment, of in by_segment.items():
        is_odd = any(part["odd_times"] or part["min_created_at"] is None for part in of)
        span = (
            None
            if is_odd
            else (
                min(part["min_created_at"] for part in of),
                max(part["max_created_at"] for part in of),
            )
        )
        found.append(_Leaf(segment, tuple(part["batch_id"] for part in of), span))
    return found


def _from(leaf: _Leaf, wheres: Sequence[Filter], arguments: Arguments) -> str:
    conditions = [f"batch_id = ANY({arguments.add(leaf.batch_ids, 'bigint[]')})"]
    if leaf.span is not None:
        low, high = (arguments.add(at, "timestamptz") for at in leaf.span)
        conditions.append(f"created_at BETWEEN {low} AND {high}")
    any_filter = condition_of(Or(tuple(wheres)) if wheres else NOTHING, arguments)
    return f"FROM {leaf_table(leaf.segment)} WHERE {' AND '.join([*conditions, any_filter])}"


def _statement(leaf: _Leaf, wheres: Sequence[Filter]) -> Statement:
    """The rows that some filter selects, and which filters select each."""
    arguments = Arguments()
    marks = ", ".join(
        f"coalesce({condition_of(where, arguments)}, false) AS m{number}"
        for number, where in enumerate(wheres)
    )
    outer_marks = ", ".join(f"q.m{number}" for number in range(len(wheres)))
    inner = f"SELECT segment, {RECORD.inner(arguments)}, {marks} {_from(leaf, wheres, arguments)}"
    limit = arguments.add(MAX_ROWS + 1, "bigint")
    text = (
        f"SELECT q.segment, {RECORD.outer()}, {outer_marks} FROM ({inner}) AS q "  # noqa: S608
        f"ORDER BY q.batch_id, q.position LIMIT {limit}"
    )
    return Statement(text, arguments.values())


def _count_statement(leaf: _Leaf, wheres: Sequence[Filter]) -> Statement:
    arguments = Arguments()
    counts = ", ".join(
        f"count(*) FILTER (WHERE {condition_of(where, arguments)}) AS m{number}"
        for number, where in enumerate(wheres)
    )
    return Statement(f"SELECT {counts} {_from(leaf, wheres, arguments)}", arguments.values())
