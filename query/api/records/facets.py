"""The most frequent values of fields: handler, models, route."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web

from config.errors import BadInput
from query.api.http.call import Call, Route
from query.api.http.models import Model
from query.api.http.responses import conditional_response
from query.api.records.models import Explanation, NoticeModel, Partial
from query.api.records.querying import SAMPLE, Querying, ScopedSearch, notes, read_route
from query.api.records.statistics import Span, ValueCount, count, time_span
from query.language.filter_parameters import one_text
from query.language.names import ATTRIBUTE, CREATED_AT, IP_ADDRESS, RESOURCE, canonical
from query.planning.compile import Order, key_and
from query.planning.counting import BY, is_counted
from query.planning.faceting import FacetRequest, count_facets
from query.planning.pages import Query
from query.planning.scan_budget import Missing
from query.planning.search import FACETS, Notice, Search
from storage.database.read import Session
from storage.filtering.resolve import resolve
from storage.record.fields import FIELDS, KIND, KIND_OF_LETTER

MAX_FIELDS = 20
_ATTRIBUTE_SAMPLE = 200
"""Number of newest records whose attributes are considered when no field is named."""
_MAX_ATTRIBUTES = 5
_DEFAULT_FIELDS = ("level", "sourceModule", "action", "kind", "resourceType")
_COLUMNS = {name: field.column for name, field in FIELDS.items()} | {IP_ADDRESS: "ip_address"}
_UNIQUE = frozenset({"id", CREATED_AT, "receivedAt"})


class Facet(Model):
    """The most frequent values of a field."""

    field: str
    values: list[ValueCount]
    sample: bool
    """The counts are based on the newest records only."""


class Facets(Model):
    """Facets of the requested fields."""

    data: list[Facet]
    notice: str = ""
    notices: tuple[NoticeModel, ...] = ()
    partial: Partial | None = None
    explain: Explanation | None = None


class FacetRoutes:
    """The route that returns facets."""

    def __init__(self, querying: Querying) -> None:
        self._querying = querying
        self._from = querying.sources

    def routes(self) -> Iterable[Route]:
        """GET /api/v1/logs/facets."""
        yield read_route(
            "/logs/facets",
            self.facets,
            action="logs.facets",
            summary="Most frequent values of fields",
            parameters=FACETS,
            response=Facets,
        )

    async def facets(self, call: Call) -> web.Response:
        """GET /api/v1/logs/facets: the most frequent values of fields."""
        search = await self._querying.search(call, FACETS)
        names = _fields(search)
        scoped = self._querying.scoped(call, search)
        async with self._from.reader.session() as session:
            span = await time_span(session, self._from, scoped)
            if "field" not in search.own:
                names += await self._common_attributes(session, scoped)
            found = await self._counted(session, scoped, span, names)
            rest = [name for name in names if name not in found.exact]
            if rest:
                await self._uncounted(session, scoped, span, rest, found)
            is_empty = not any(found.exact.values()) and not any(found.sampled.values())
            remarks = await self._querying.notices(session, scoped, is_empty=is_empty)
        call.rows = 0
        body = orjson.dumps(_document(search, names, found, remarks))
        return conditional_response(call, body, is_closed=self._querying.is_closed(scoped))

    async def _counted(
        self, session: Session, scoped: ScopedSearch, span: Span, names: Sequence[str]
    ) -> "_Found":
        """The fields that counters tell."""
        found = _Found()
        for name in names:
            if name in BY and is_counted(scoped.untimed, BY[name]):
                counts = await count(session, self._from, scoped, span, BY[name], None)
                found.exact[name] = counts.totals()
                found.missing = counts.missing
        return found

    async def _uncounted(
        self,
        session: Session,
        scoped: ScopedSearch,
        span: Span,
        names: Sequence[str],
        found: "_Found",
    ) -> None:
        """The other fields: from columns and tables, or from a sample of the newest records."""
        columns = dict.fromkeys(_column(name) for name in names if not _is_attribute(name))
        attributes = dict.fromkeys(_attribute(name) for name in names if _is_attribute(name))
        where = await resolve(session, scoped.untimed)
        request = FacetRequest(where, span.start_ns, span.end_ns, tuple(columns), tuple(attributes))
        counted = await count_facets(session, self._from.pages, request)
        if counted is None:
            sample = await self._sample(session, scoped, names)
            found.sampled = {name: _most_common(sample.counts[name]) for name in names}
            found.is_cut = dict.fromkeys(names, sample.has_more)
            found.missing = sample.missing or found.missing
            return
        found.missing = counted.missing or found.missing
        places = {key: place for place, key in enumerate([*columns, *attributes])}
        for name in names:
            key = _attribute(name) if _is_attribute(name) else _column(name)
            place = places[key]
            counts = counted.counts[place]
            if name.startswith(RESOURCE):
                counts = await self._of_resources(session, name.removeprefix(RESOURCE), counts)
            elif name == KIND.name:
                counts = Counter({str(_shown(name, value)): n for value, n in counts.items()})
            found.sampled[name] = _most_common(counts)
            found.is_cut[name] = place in counted.cut

    async def _of_resources(
        self, session: Session, key: str, streams: Counter[str]
    ) -> Counter[str]:
        """The values of a resource's attribute, from the records of each stream."""
        known = await self._from.streams.of(session, map(int, streams))
        counts: Counter[str] = Counter()
        for stream, rows in streams.items():
            value = orjson.loads(known[int(stream)].resource).get(key)
            if value is not None:
                counts[_text(value)] += rows
        return counts

    async def _common_attributes(self, session: Session, scoped: ScopedSearch) -> list[str]:
        """Names of attributes with few distinct values in the newest records."""
        where = await resolve(session, scoped.where)
        query = Query(where, Order.NEWEST, _ATTRIBUTE_SAMPLE, columns=key_and("metadata"))
        page = await self._from.pages.read(session, query)
        return [
            f"{ATTRIBUTE}{name}" for name in common_attributes(row["metadata"] for row in page.rows)
        ]

    async def _sample(
        self, session: Session, scoped: ScopedSearch, names: Sequence[str]
    ) -> "_Sample":
        """Value counts in the newest records."""
        attributes = [name.removeprefix(ATTRIBUTE) for name in names if _is_attribute(name)]
        columns = [_COLUMNS[name] for name in names if name in _COLUMNS]
        page = await self._from.pages.read(
            session,
            Query(
                await resolve(session, scoped.where),
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


@dataclass(slots=True)
class _Found:
    """Values with counts, the most frequent first."""

    exact: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """From counters."""
    sampled: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    is_cut: dict[str, bool] = field(default_factory=dict)
    """Whether not all records, or not all values, were counted."""
    missing: Missing | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    counts: dict[str, Counter[str]]
    has_more: bool
    missing: Missing | None


def common_attributes(documents: Iterable[str]) -> list[str]:
    """Names of the attributes whose values repeat most: many records, few values."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for document in documents:
        for name, value in orjson.loads(document)["attributes"].items():
            if not isinstance(value, dict | list):
                values[name][str(value)] += 1
    repeats = {name: counts.total() - len(counts) for name, counts in values.items()}
    found = sorted(repeats, key=lambda name: (-repeats[name], name))
    return [name for name in found[:_MAX_ATTRIBUTES] if repeats[name]]


def _fields(search: Search) -> list[str]:
    names = list(dict.fromkeys(map(canonical, search.own.get("field", _DEFAULT_FIELDS))))
    if len(names) > MAX_FIELDS:
        raise BadInput(f"At most {MAX_FIELDS} fields", where="field")
    for name in names:
        one_text("field", (name,))
        if name in _UNIQUE:
            raise BadInput(f"Values of {name} are unique; count by time instead", where="field")
    return names


def _is_attribute(name: str) -> bool:
    return name not in _COLUMNS and not name.startswith(RESOURCE)


def _column(name: str) -> str:
    return "stream_id" if name.startswith(RESOURCE) else _COLUMNS[name]


def _attribute(name: str) -> str:
    return name.removeprefix(ATTRIBUTE)


def _shown(name: str, value: Any) -> object:
    if name == KIND.name:
        return KIND_OF_LETTER[value.encode()].word
    if isinstance(value, bytes):
        return value.hex()
    return value.hex if isinstance(value, UUID) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _document(
    search: Search, names: Sequence[str], found: _Found, remarks: Iterable[Notice]
) -> dict[str, object]:
    prefix = (search.only("prefix") or "").lower()
    data: list[dict[str, object]] = []
    for name in names:
        counts = found.exact[name] if name in found.exact else found.sampled[name]
        wanted = [item for item in counts if item[0].lower().startswith(prefix)]
        data.append(
            {
                "field": name,
                "values": [{"value": value, "count": n} for value, n in wanted[: search.limit]],
                "sample": found.is_cut.get(name, False),
            }
        )
    requested = {canonical(name): name for name in search.own.get("field", ())}
    for item in data:  # an alias is answered by its own name
        item["field"] = requested.get(str(item["field"]), item["field"])
    return {"data": data, **notes(remarks, found.missing)}


def _most_common(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
