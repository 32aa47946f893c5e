"""Replaces filters on the resource by filters on streams, before they are compiled.

A resource is stored once per stream, so `resource.<name>` is looked up there first.
"""

from config.errors import BadInput
from storage.database.read import Session
from storage.filtering.conditions import compile_streams
from storage.filtering.filters import (
    EVERYTHING,
    NOTHING,
    And,
    FieldIn,
    Filter,
    Not,
    OnResource,
    Or,
    ResourceEquals,
    ValueAt,
    all_of,
)
from storage.record.fields import STREAM_ID

MAX_STREAMS = 20_000
"""Maximum number of streams per condition; more are not selective and only slow the query."""


async def resolve(session: Session, condition: Filter) -> Filter:
    """The same filter without conditions on resources; alternatives without any are left out."""
    match condition:
        case ResourceEquals() | OnResource():
            return await _streams(session, condition)
        case And(of):
            return _and([await resolve(session, item) for item in of])
        case Or(of):
            return _or([await resolve(session, item) for item in of])
        case Not(inner):
            return Not(await resolve(session, inner))
        case _:
            return condition


def _and(of: list[Filter]) -> Filter:
    return NOTHING if NOTHING in of else all_of(*of)


def _or(of: list[Filter]) -> Filter:
    if EVERYTHING in of:
        return EVERYTHING
    left = tuple(item for item in of if item != NOTHING)
    return left[0] if len(left) == 1 else Or(left)


async def _streams(session: Session, condition: ResourceEquals | OnResource) -> Filter:
    rows = await session.rows(compile_streams(condition, most=MAX_STREAMS + 1))
    if len(rows) > MAX_STREAMS:
        name = _name_of(condition)
        raise BadInput(
            f"More than {MAX_STREAMS} resources match. Use a more selective value of {name}",
            where=f"resource.{name}",
        )
    if not rows:
        return NOTHING
    return FieldIn(STREAM_ID, tuple(sorted(row["stream_id"] for row in rows)))


def _name_of(condition: ResourceEquals | OnResource) -> str:
    if isinstance(condition, ResourceEquals):
        return condition.name
    of = condition.of
    return ".".join(of.paths[0][1:]) if isinstance(of, ValueAt) else of.name
