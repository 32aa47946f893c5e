"""The handlers of figures: statistics, facets, patterns."""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web

from config.errors import BadInput
from query.analysis.patterns import grouped
from query.api.http.call import Call
from query.api.records.querying import Asked, Asking, finished, partial
from query.language.parameters import one_text
from query.language.terms import ATTRIBUTE, CREATED_AT, IP_ADDRESS, RESOURCE
from query.planning.compile import Order, key_and
from query.planning.counts import BY, FIRST_COUNTED, Tally, Wish, bucket_of, is_counted, tally
from query.planning.pages import Missing, Question
from query.planning.search import FACETS, PATTERNS, STATS, Search
from query.render.records import record_json
from storage.database.read import NO_STREAM, Session
from storage.filtering.resolve import resolve
from storage.record.fields import FIELDS, KIND, KIND_OF_LETTER, LEVEL, Field
from storage.record.times import microseconds_of, rfc3339_ns

SAMPLE = 5_000
"""Newest records that facets and patterns look at."""
_LOOKED_AT = 200
"""Newest records whose attributes are looked at, where no field is named."""
_MOST_ATTRIBUTES = 5
MAX_BUCKETS = 2_000
MAX_FIELDS = 20
_WISHED_BUCKETS = 100
_STEPS_S = (
    *(1, 5, 10, 15, 30, 60, 5 * 60, 10 * 60, 15 * 60, 30 * 60),
    *(3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400),
)
_DEFAULT_FIELDS = ("level", "sourceModule", "action", "kind", "resourceType")
_COLUMNS = {name: field.column for name, field in FIELDS.items()} | {IP_ADDRESS: "ip_address"}
_ALL_DIFFER = frozenset({"id", CREATED_AT, "receivedAt"})
_INTERVAL = re.compile(r"(\d{1,6})(s|m|h|d|w)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_S_NS = 10**9


class Figures:
    """Answers how many, and of what kind."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._from = asking.sources

    async def stats(self, call: Call) -> web.Response:
        """GET /api/v1/logs/stats."""
        search = self._asking.search(call, STATS)
        by = _by(search)
        asked = self._asking.asked(call, search)
        async with self._from.reader.session(
            is_lookup=self._is_lookup(search, asked, by)
        ) as session:
            span = await self._span(session, asked)
            step_s = _step(search, span)
            found = await self._tally(session, asked, span, by, step_s)
        call.rows = 0
        return self._finished(call, asked, _stats(search, span, step_s, found))

    def _is_lookup(self, search: Search, asked: Asked, by: Field) -> bool:
        """Whether counts answer all but some seconds: then planning would take the longest."""
        if asked.start_ns is None:
            return False
        span = _Span(asked.start_ns, self._end_ns(asked))
        return is_counted(asked.untimed, by, _step(search, span))

    async def _tally(
        self,
        session: Session,
        asked: Asked,
        span: "_Span",
        by: Field,
        step_s: int | None,
    ) -> Tally:
        where = await resolve(session, asked.untimed)
        return await tally(
            session, self._from.pages, Wish(where, span.start_ns, span.end_ns, by, step_s)
        )

    async def _span(self, session: Session, asked: Asked) -> "_Span":
        """The range with both ends: without a start, from the first record on."""
        end_ns = self._end_ns(asked)
        if asked.start_ns is not None:
            return _Span(asked.start_ns, end_ns)
        first = (await session.rows(FIRST_COUNTED))[0]["hour"]
        start_ns = end_ns if first is None else microseconds_of(first) * 1000
        return _Span(min(start_ns, end_ns), end_ns)

    def _end_ns(self, asked: Asked) -> int:
        return self._from.now_ns() if asked.end_ns is None else asked.end_ns

    async def facets(self, call: Call) -> web.Response:
        """GET /api/v1/logs/facets: the most frequent values of fields."""
        search = self._asking.search(call, FACETS)
        names = _fields(search)
        asked = self._asking.asked(call, search)
        exact: dict[str, list[tuple[str, int]]] = {}
        async with self._from.reader.session() as session:
            span = await self._span(session, asked)
            if "field" not in search.own:
                names += await self._telling_attributes(session, asked)
            for name in names:
                if name in BY and is_counted(asked.untimed, BY[name]):
                    found = await self._tally(session, asked, span, BY[name], None)
                    exact[name] = found.totals()
            sampled = [name for name in names if name not in exact]
            sample = await self._sample(session, asked, sampled) if sampled else None
        call.rows = 0
        return self._finished(call, asked, _facets(search, names, exact, sample))

    def _finished(self, call: Call, asked: Asked, document: dict[str, object]) -> web.Response:
        body = orjson.dumps(document)
        return finished(call, body, is_closed=self._asking.is_closed(asked))

    async def _telling_attributes(self, session: Session, asked: Asked) -> list[str]:
        """Attributes whose values come again and again in the newest records."""
        where = await resolve(session, asked.where)
        question = Question(where, Order.NEWEST, _LOOKED_AT, columns=key_and("metadata"))
        page = await self._from.pages.read(session, question)
        return [f"{ATTRIBUTE}{name}" for name in telling(row["metadata"] for row in page.rows)]

    async def _sample(self, session: Session, asked: Asked, names: Sequence[str]) -> "_Sample":
        """Values of the newest records."""
        attributes = [name.removeprefix(ATTRIBUTE) for name in names if _is_attribute(name)]
        columns = [_COLUMNS[name] for name in names if name in _COLUMNS]
        page = await self._from.pages.read(
            session,
            Question(
                await resolve(session, asked.where),
                Order.NEWEST,
                SAMPLE,
                columns=key_and("stream_id", *columns, attributes=attributes),
            ),
        )
        streams = await self._from.streams.of(session, [row["stream_id"] for row in page.rows])
        resources = {key: orjson.loads(stream.resource) for key, stream in streams.items()}
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        places = {f"{ATTRIBUTE}{name}": f"a{place}" for place, name in enumerate(attributes)}
        for name in names:
            if name.startswith(RESOURCE):
                key = name.removeprefix(RESOURCE)
                values = (resources.get(row["stream_id"], {}).get(key) for row in page.rows)
            elif name in _COLUMNS:
                values = (_shown(name, row[_COLUMNS[name]]) for row in page.rows)
            else:
                place = places[name if name.startswith(ATTRIBUTE) else f"{ATTRIBUTE}{name}"]
                values = (row[place] for row in page.rows)
            counts[name] = Counter(_text(value) for value in values if value is not None)
        return _Sample(counts, page.has_more, page.missing)

    async def patterns(self, call: Call) -> web.Response:
        """GET /api/v1/logs/patterns: messages by their shape, the most frequent first."""
        search = self._asking.search(call, PATTERNS)
        asked = self._asking.asked(call, search)
        async with self._from.reader.session() as session:
            question = Question(await resolve(session, asked.where), Order.NEWEST, SAMPLE)
            page = await self._from.pages.read(session, question)
            found = await asyncio.to_thread(grouped, [row["message"] for row in page.rows])
            found = found[: search.limit]
            samples = [page.rows[item.first] for item in found]
            streams = await self._from.streams.of(session, [row["stream_id"] for row in samples])
        call.rows = len(samples)
        parts = []
        for item, row in zip(found, samples, strict=True):
            head = {"pattern": item.pattern, "count": item.count, "level": row["level"]}
            record = record_json(row, streams.get(row["stream_id"], NO_STREAM))
            parts.append(orjson.dumps(head)[:-1] + b',"sample":' + record + b"}")
        more: dict[str, object] = {"sampled": page.has_more, "records": len(page.rows)}
        more |= _notes(search, page.missing)
        body = b'{"data":[%s],' % b",".join(parts) + orjson.dumps(more)[1:]
        return finished(call, body, is_closed=self._asking.is_closed(asked))


@dataclass(frozen=True, slots=True)
class _Span:
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class _Sample:
    counts: dict[str, Counter[str]]
    has_more: bool
    missing: Missing | None


def telling(documents: Iterable[str]) -> list[str]:
    """Names of the attributes that tell most: many records, few values."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for document in documents:
        for name, value in orjson.loads(document)["attributes"].items():
            if not isinstance(value, dict | list):
                values[name][str(value)] += 1
    repeats = {name: counts.total() - len(counts) for name, counts in values.items()}
    found = sorted(repeats, key=lambda name: (-repeats[name], name))
    return [name for name in found[:_MOST_ATTRIBUTES] if repeats[name]]


def _by(search: Search) -> Field:
    name = search.only("by") or LEVEL.name
    if name not in BY:
        raise BadInput(f"by is one of {', '.join(BY)}", where="by")
    return BY[name]


def _step(search: Search, span: _Span) -> int | None:
    """Seconds of a bucket; None: no series."""
    text = search.only("interval") or "auto"
    seconds = (span.end_ns - span.start_ns) // _S_NS + 1
    if text == "none":
        return None
    if text == "auto":
        wished = -(-seconds // _WISHED_BUCKETS)
        fitting = next((step for step in _STEPS_S if step >= wished), None)
        return fitting or -(-wished // _STEPS_S[-1]) * _STEPS_S[-1]
    found = _INTERVAL.fullmatch(text)
    step = int(found[1]) * _UNIT_S[found[2]] if found else 0
    if step <= 0:
        raise BadInput("interval is auto, none, or like 30s, 5m, 1h, 1d", where="interval")
    if seconds // step > MAX_BUCKETS:
        raise BadInput(f"that makes more than {MAX_BUCKETS} buckets", where="interval")
    return step


def _stats(search: Search, span: _Span, step_s: int | None, found: Tally) -> dict[str, object]:
    document: dict[str, object] = {
        "total": sum(found.counts.values()),
        "start": rfc3339_ns(span.start_ns),
        "end": rfc3339_ns(span.end_ns),
        "interval": step_s,
        "totals": [{"value": value, "count": count} for value, count in found.totals()],
        "series": [] if step_s is None else _series(span, step_s, found),
    }
    return document | _notes(search, found.missing)


def _series(span: _Span, step_s: int, found: Tally) -> list[dict[str, object]]:
    """All buckets of the range, those without records too."""
    by_bucket: dict[int, dict[str, int]] = defaultdict(dict)
    for (bucket, value), count in found.counts.items():
        by_bucket[bucket][value] = count
    first = bucket_of(span.start_ns // _S_NS, step_s)
    return [
        {
            "start": rfc3339_ns(at * _S_NS),
            "count": sum(by_bucket[at].values()) if at in by_bucket else 0,
            "values": by_bucket.get(at, {}),
        }
        for at in range(first, -(-span.end_ns // _S_NS), step_s)
    ]


def _notes(search: Search, missing: Missing | None) -> dict[str, object]:
    found: dict[str, object] = {}
    if search.notice:
        found["notice"] = search.notice
    if missing is not None:
        found["partial"] = partial(missing)
    return found


def _fields(search: Search) -> list[str]:
    names = list(search.own.get("field", _DEFAULT_FIELDS))
    if len(names) > MAX_FIELDS:
        raise BadInput(f"more than {MAX_FIELDS} fields", where="field")
    for name in names:
        one_text("field", (name,))
        if name in _ALL_DIFFER:
            raise BadInput(f"values of {name} do not come twice; count by time", where="field")
    return names


def _is_attribute(name: str) -> bool:
    return name not in _COLUMNS and not name.startswith(RESOURCE)


def _shown(name: str, value: Any) -> object:
    if name == KIND.name:
        return KIND_OF_LETTER[value.encode()].word
    if isinstance(value, bytes):
        return value.hex()
    return value.hex if isinstance(value, UUID) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _facets(
    search: Search,
    names: Sequence[str],
    exact: dict[str, list[tuple[str, int]]],
    sample: _Sample | None,
) -> dict[str, object]:
    prefix = search.only("prefix") or ""
    data: list[dict[str, object]] = []
    for name in names:
        counts = exact[name] if name in exact else _most_common(sample, name)
        wanted = [item for item in counts if item[0].lower().startswith(prefix.lower())]
        data.append(
            {
                "field": name,
                "values": [{"value": value, "count": n} for value, n in wanted[: search.limit]],
                "sample": name not in exact and sample is not None and sample.has_more,
            }
        )
    return {"data": data, **_notes(search, sample.missing if sample else None)}


def _most_common(sample: _Sample | None, name: str) -> list[tuple[str, int]]:
    assert sample is not None
    return sorted(sample.counts[name].items(), key=lambda item: (-item[1], item[0]))
