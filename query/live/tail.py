"""The live tail: one look into the store per piece of news, for all who watch.

    news of batches -> their parts (which leaf, which times) -> one statement over these leaves that
    tells for each row whose filter it passes -> each watcher's own bounded queue

Delivery is at least once: after a reconnect the last second may come again. Who reads slowly, or
asks for more than MOST_ROWS a look, is told how many records are missing.
"""

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from config.errors import OpslogError
from query.errors import TooManyQueries
from query.live.places import Line, Place
from query.planning.compile import RECORD
from query.planning.pages import Catalogue
from query.render.records import record_json
from storage.database.read import NO_STREAM, Reader, Row, Session, Statement, Streams
from storage.filtering.conditions import Arguments, condition_of, leaf_table
from storage.filtering.filters import NOTHING, Filter, Or
from storage.filtering.resolve import resolve
from storage.writing.batches import BatchRange

_log = logging.getLogger(__name__)

MOST_ROWS = 2_000
"""Records of one look; a second has ten looks at most."""
MOST_WAITING = 2_000
MOST_WAITING_BYTES = 8 * 2**20
MOST_WATCHERS = 200
MOST_OF_ONE_TOKEN = 8
_PAUSE_S = 0.1
_REMEMBERED = 20_000
_REPLAY_SLACK_MS = 10 * 60_000
_CLOCKS_DIFFER = timedelta(minutes=1)
"""Batch ids and times of arrival may come from clocks of two machines."""
_MS_SHIFT = 22
"""A batch id is milliseconds since 1970 above these bits (storage/spool/batch_ids.py)."""


@dataclass(eq=False, slots=True)
class Watcher:
    """One reader of the tail."""

    where: Filter
    token: str
    missed: int = 0
    """Records that it was not given since it was last told."""
    _lines: deque[Line] = field(default_factory=deque)
    _later: deque[Line] | None = None
    _bytes: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, line: Line, *, is_replayed: bool = False) -> None:
        """Put a record in its queue, or count it as missed when that is full."""
        if self._later is not None and not is_replayed:
            self._later.append(line)
            return
        if len(self._lines) >= MOST_WAITING or self._bytes > MOST_WAITING_BYTES:
            self.miss(1)
            return
        self._lines.append(line)
        self._bytes += len(line.body)
        self._wake.set()

    def hold_back(self) -> None:
        """What comes from now on waits until `go_on`, behind what is replayed."""
        self._later = deque(maxlen=MOST_WAITING)

    def go_on(self) -> None:
        """What was replayed is in the queue; what came meanwhile follows, each record once."""
        replayed = {line.place for line in self._lines}
        later, self._later = self._later or (), None
        for line in later:
            if line.place not in replayed:
                self.offer(line)

    def miss(self, count: int) -> None:
        """It was not given so many records."""
        self.missed += count
        self._wake.set()

    async def take(self, longest_s: float) -> tuple[list[Line], int]:
        """What waits, and how many were missed after it; both may be nothing when time is up."""
        if not self._lines and not self.missed:
            self._wake.clear()
            try:
                async with asyncio.timeout(longest_s):
                    await self._wake.wait()
            except TimeoutError:
                return [], 0
        lines, missed = list(self._lines), self.missed
        self._lines.clear()
        self._bytes, self.missed = 0, 0
        return lines, missed


class News(Protocol):
    """Where news of batches come from (storage/writing/batches.py)."""

    async def next(self) -> BatchRange:
        """What has come since the last call; waits for it."""
        ...


class Live:
    """Looks for all watchers; `run` is a task of the query server."""

    def __init__(self, reader: Reader, catalogue: Catalogue, streams: Streams, news: News) -> None:
        self._reader = reader
        self._catalogue = catalogue
        self._streams = streams
        self._news = news
        self._watchers: set[Watcher] = set()
        self._seen: OrderedDict[int, None] = OrderedDict()

    def watch(self, where: Filter, token: str) -> Watcher:
        """Begin to watch. Raises TooManyQueries."""
        same = sum(watcher.token == token for watcher in self._watchers)
        if same >= MOST_OF_ONE_TOKEN or len(self._watchers) >= MOST_WATCHERS:
            raise TooManyQueries(f"at most {MOST_OF_ONE_TOKEN} live tails of one token")
        watcher = Watcher(where, token)
        self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Watch no more."""
        self._watchers.discard(watcher)

    async def run(self) -> None:
        """Look whenever there is news and somebody watches, until cancelled."""
        owed: BatchRange | None = None
        while True:
            news = await self._news.next()
            owed = news if owed is None else owed.joined(news)
            if self._watchers:
                try:
                    await self._look(owed)
                except OpslogError as error:
                    # The next news look there as well.
                    _log.warning("the live tail could not look: %s", error.code)
                    await asyncio.sleep(_PAUSE_S)
                    continue
            owed = None
            await asyncio.sleep(_PAUSE_S)

    async def _look(self, news: BatchRange) -> None:
        async with self._reader.session() as session:
            parts = await self._parts(session, news)
            fresh = [part for part in parts if part["batch_id"] not in self._seen]
            if not fresh:
                return
            watchers = list(self._watchers)
            await self._deliver(session, fresh, watchers)
        for part in fresh:
            self._seen[part["batch_id"]] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    async def replay(self, watcher: Watcher, last: Place) -> None:
        """Give a watcher that comes back what was stored since the record it saw last."""
        watcher.hold_back()
        try:
            async with self._reader.session() as session:
                first = last.batch_id - (_REPLAY_SLACK_MS << _MS_SHIFT)
                await self._know_segments(session)
                parts = await session.rows(
                    Statement(_PARTS_SINCE, (self._segments(first), first, last.batch_id))
                )
                await self._deliver(session, parts, [watcher], after=last)
        finally:
            watcher.go_on()

    async def _parts(self, session: Session, news: BatchRange) -> list[Row]:
        await self._know_segments(session)
        return await session.rows(
            Statement(_PARTS_BETWEEN, (self._segments(news.first), news.first, news.last))
        )

    async def _know_segments(self, session: Session) -> None:
        newest = max((item.number for item in self._catalogue.segments()), default=0)
        row = (await session.rows(Statement(_NEWEST)))[0]
        if (row["newest"] or 0) > newest:
            await self._catalogue.refresh()

    def _segments(self, first: int) -> list[int]:
        """Where batches from this one on can be: also in what was sealed since."""
        since = datetime.fromtimestamp((max(first, 0) >> _MS_SHIFT) / 1000, UTC) - _CLOCKS_DIFFER
        return [
            item.number
            for item in self._catalogue.segments()
            if item.rows is None or (item.max_received_at and item.max_received_at >= since)
        ]

    async def _deliver(
        self,
        session: Session,
        parts: Sequence[Row],
        watchers: Sequence[Watcher],
        after: Place | None = None,
    ) -> None:
        wheres = [await resolve(session, watcher.where) for watcher in watchers]
        rows: list[Row] = []
        cut: list[_Leaf] = []
        for leaf in _leaves(parts):
            found = await session.rows(_statement(leaf, wheres))
            rows += found[:MOST_ROWS]
            if len(found) > MOST_ROWS:
                cut.append(leaf)
        given = await self._offer(session, rows, watchers, after)
        for leaf in cut:
            counts = (await session.rows(_count_statement(leaf, wheres)))[0]
            for number, watcher in enumerate(watchers):
                watcher.miss(max(counts[f"m{number}"] - given[leaf.segment, number], 0))

    async def _offer(
        self,
        session: Session,
        rows: Sequence[Row],
        watchers: Sequence[Watcher],
        after: Place | None,
    ) -> Counter[tuple[int, int]]:
        """Hand out rows in order of arrival; how many by (segment, number of the watcher)."""
        streams = await self._streams.of(session, [row["stream_id"] for row in rows])
        given: Counter[tuple[int, int]] = Counter()
        for row in sorted(rows, key=lambda item: (item["batch_id"], item["position"])):
            place = Place(row["batch_id"], row["position"])
            is_seen = after is not None and after.is_at_or_behind(place)
            line = Line(place, record_json(row, streams.get(row["stream_id"], NO_STREAM)))
            for number, watcher in enumerate(watchers):
                if row[f"m{number}"]:
                    given[row["segment"], number] += 1
                    if not is_seen:
                        watcher.offer(line, is_replayed=after is not None)
        return given


_NEWEST = "SELECT max(segment) AS newest FROM segments WHERE state <> 'dropped'"
_PARTS_COLUMNS = "p.segment, p.batch_id, p.min_created_at, p.max_created_at, p.odd_times"
_PARTS_BETWEEN = f"""
SELECT {_PARTS_COLUMNS}
  FROM ingest_parts AS p
 WHERE p.segment = ANY($1::integer[]) AND p.batch_id BETWEEN $2 AND $3
 ORDER BY p.batch_id
"""  # noqa: S608 - a constant
# Stored since that batch was, with a second for transactions that were under way.
_PARTS_SINCE = f"""
SELECT {_PARTS_COLUMNS}
  FROM ingest_parts AS p
  JOIN ingest_batches AS b USING (batch_id)
 WHERE p.segment = ANY($1::integer[]) AND p.batch_id >= $2
   AND b.stored_at >= (SELECT l.stored_at - interval '1 second'
                         FROM ingest_batches AS l WHERE l.batch_id = $3)
 ORDER BY p.batch_id
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class _Leaf:
    segment: int
    batch_ids: tuple[int, ...]
    span: tuple[object, object] | None
    """Least and greatest created_at; None where some row may lie outside."""


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
    anybody = condition_of(Or(tuple(wheres)) if wheres else NOTHING, arguments)
    return f"FROM {leaf_table(leaf.segment)} WHERE {' AND '.join([*conditions, anybody])}"


def _statement(leaf: _Leaf, wheres: Sequence[Filter]) -> Statement:
    """The rows that somebody wants, and who wants each."""
    arguments = Arguments()
    whose = ", ".join(
        f"coalesce({condition_of(where, arguments)}, false) AS m{number}"
        for number, where in enumerate(wheres)
    )
    marks = ", ".join(f"q.m{number}" for number in range(len(wheres)))
    inner = f"SELECT segment, {RECORD.inner(arguments)}, {whose} {_from(leaf, wheres, arguments)}"
    limit = arguments.add(MOST_ROWS + 1, "bigint")
    text = (
        f"SELECT q.segment, {RECORD.outer()}, {marks} FROM ({inner}) AS q "  # noqa: S608
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
