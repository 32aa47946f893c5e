"""Replaces filters on the resource by filters on streams, before they are compiled.

A resource is stored once per stream, so `resource.<name>` is looked up there first.
"""

from config.errors import BadInput
from storage.database.read import Session
from storage.filtering.conditions import compile_streams
from storage.filtering.filters import NOTHING, And, FieldIn, Filter, Not, Or, ResourceEquals
from storage.record.fields import STREAM_ID

MAX_STREAMS = 20_000
"""Maximum number of streams per condition; more are not selective and only slow the query."""


async def resolve(session: Session, condition: Filter) -> Filter:
    """The same filter without any ResourceEquals."""
    match condition:
        case ResourceEquals():
            return await _streams(session, condition)
        case And(of):
            return And(tuple([await resolve(session, item) for item in of]))
        case Or(of):
            return Or(tuple([await resolve(session, item) for item in of]))
        case Not(inner):
            return Not(await resolve(session, inner))
        case _:
            return condition


async def _streams(session: Session, condition: ResourceEquals) -> Filter:
    rows = await session.rows(compile_streams(condition, most=MAX_STREAMS + 1))
    if len(rows) > MAX_STREAMS:
        raise BadInput(
            f"more than {MAX_STREAMS} resources match; use a more selective attribute",
            where=f"resource.{condition.name}",
        )
    if not rows:
        return NOTHING
    return FieldIn(STREAM_ID, tuple(sorted(row["stream_id"] for row in rows)))
