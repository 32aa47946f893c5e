"""What a client should know about a result: records left out, and names that no record has."""

from collections.abc import Iterator

from query.language.lexer import Token, Type, tokens, written_name
from query.language.names import ATTRIBUTE, RESOURCE, canonical, field_of, nearest
from query.language.pasted import shape_of
from query.language.paths import SCOPE, TOPS
from query.language.terms import ANYWHERE
from query.planning.compile import Order, key_and
from query.planning.counting import CountRequest, count_records
from query.planning.known_names import attribute_names, resource_names
from query.planning.pages import Pages, Query
from query.planning.search import Notice, Search
from storage.database.read import Session, Statement
from storage.filtering.filters import Filter
from storage.filtering.resolve import resolve
from storage.record.fields import LEVEL
from storage.record.times import microseconds_of, rfc3339_ns

NAME_SAMPLE = 1_000
"""Newest records of the range whose names are compared with those of a query without matches."""
FOREVER_NS = 2**64
"""Later than any time that OTLP can carry."""
_ALL = "9999-12-31T00:00:00Z"
_ELSEWHERE = TOPS | {SCOPE, ANYWHERE}
"""First parts of names that are not those of attributes."""
_MAX_NAMES = 3
"""Names that one result comments on."""
LAST_COUNTED = Statement("SELECT max(minute) AS minute FROM log_counts")
"""Minute of the newest record."""
_MINUTE_NS = 60 * 10**9


async def last_ns(session: Session) -> int | None:
    """A time that no record is dated at or after; None without records."""
    minute = (await session.rows(LAST_COUNTED))[0]["minute"]
    return None if minute is None else microseconds_of(minute) * 1000 + _MINUTE_NS


async def beyond_end(
    session: Session, pages: Pages, scope: Filter, where: Filter, end_ns: int
) -> list[Notice]:
    """How many matching records are dated after the default end."""
    latest_ns = await last_ns(session)
    if latest_ns is None or latest_ns <= end_ns:
        return []
    # Most filters have to read records; the counters tell whether there are any.
    visible = CountRequest(scope, end_ns, FOREVER_NS, LEVEL, None)
    if not (await count_records(session, pages, visible)).counts:
        return []
    request = CountRequest(await resolve(session, where), end_ns, FOREVER_NS, LEVEL, None)
    found = await count_records(session, pages, request)
    count = sum(found.counts.values())
    if not count:
        return []
    least = "At least " if found.missing else ""
    records = "record is" if count == 1 else "records are"
    detail = (
        f"{least}{count:,} matching {records} dated after {rfc3339_ns(end_ns)[:19]}Z and not "
        "included. Set an end time to include them"
    )
    return [Notice(detail, (("end", _ALL),))]


async def unknown_names(
    session: Session, pages: Pages, search: Search, within: Filter
) -> list[Notice]:
    """Names in the query that no record in the range has, with what was probably meant."""
    requested = list(_requested(search))
    if not requested:
        return []
    columns = key_and("metadata")
    page = await pages.read(session, Query(within, Order.NEWEST, NAME_SAMPLE, columns=columns))
    attributes = attribute_names(page.rows)
    resource = await resource_names(session)
    is_sample = page.has_more or page.missing is not None
    return [
        _notice(search, token, name, attributes | resource, is_sample=is_sample)
        for token, name in requested
        if not _has(name, attributes | resource)
    ][:_MAX_NAMES]


def _requested(search: Search) -> Iterator[tuple[Token | None, str]]:
    """The names of attributes in a search; with their token where they are in the query."""
    for token in tokens(search.text):
        is_name = token.type is Type.FIELD and canonical(token.field) == token.field
        if is_name and field_of(token.field) is None:
            shape = shape_of(token.whole)
            is_elsewhere = token.field.partition(".")[0].lower() in _ELSEWHERE
            if not is_elsewhere and (shape is None or not shape.is_certain):
                yield token, _bare(token.field)
    for name in sorted(search.typed):
        if name.startswith((ATTRIBUTE, RESOURCE)):
            yield None, _bare(name)


def _bare(name: str) -> str:
    return name.removeprefix(ATTRIBUTE).removeprefix(RESOURCE)


def _has(name: str, known: frozenset[str]) -> bool:
    """Whether records have the attribute, or one that may be a map with it."""
    parts = name.split(".")
    return any(".".join(parts[:end]) in known for end in range(1, len(parts) + 1))


def _notice(
    search: Search, token: Token | None, name: str, known: frozenset[str], *, is_sample: bool
) -> Notice:
    whose = f"None of the newest {NAME_SAMPLE:,} records in" if is_sample else "No record in"
    detail = f'{whose} this range has the attribute "{name}"'
    near = nearest(name, known)
    if near is None:
        return Notice(detail)
    detail += f'; did you mean "{near}"?'
    if token is None:
        return Notice(detail)
    text = search.text
    return Notice(detail, (("q", text[: token.at] + written_name(near) + text[token.name_end :]),))
