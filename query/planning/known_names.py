"""The names of attributes that stored records are known to have: from a sample, cached."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

import orjson

from config.errors import Unavailable
from query.language.names import Names
from query.planning.compile import Order, key_and
from query.planning.pages import Pages, Query
from storage.database.read import Reader, Row, Session, Statement
from storage.filtering.filters import EVERYTHING

SAMPLE_RECORDS = 1_000
"""Newest records whose attributes are known: enough for what senders send all the time."""
_FRESH_S = 15.0
_RESOURCE_NAMES = Statement(
    "SELECT DISTINCT jsonb_object_keys(s.resource) AS name"
    "  FROM (SELECT resource FROM log_streams ORDER BY stream_id DESC LIMIT 20000) AS s"
)


class KnownNames:
    """Reads the names when they are needed, at most every 15 seconds."""

    def __init__(self, reader: Reader, pages: Pages) -> None:
        self._reader = reader
        self.pages = pages
        """Without explanations: what names need is no part of a query's."""
        self._names = Names()
        self._until_s = 0.0
        self._lock = asyncio.Lock()

    async def names(self) -> Names:
        """The names, also of records that the client may not read: never show them."""
        async with self._lock:
            if time.monotonic() >= self._until_s:
                with suppress(Unavailable):  # the query itself reports it
                    self._names = await self._read()
                self._until_s = time.monotonic() + _FRESH_S
        return self._names

    async def _read(self) -> Names:
        columns = key_and("metadata")
        async with self._reader.session() as session:
            resource = await resource_names(session)
            query = Query(EVERYTHING, Order.NEWEST, SAMPLE_RECORDS, columns=columns)
            page = await self.pages.read(session, query)
        return Names(attribute_names(page.rows), resource)


async def resource_names(session: Session) -> frozenset[str]:
    """Names of attributes of the newest resources."""
    return frozenset(row["name"] for row in await session.rows(_RESOURCE_NAMES))


def attribute_names(rows: Iterable[Row]) -> frozenset[str]:
    """Names of the attributes of these records."""
    found: set[str] = set()
    for row in rows:
        attributes = orjson.loads(row["metadata"])["attributes"]
        if isinstance(attributes, Mapping):
            found.update(attributes)
    return frozenset(found)
