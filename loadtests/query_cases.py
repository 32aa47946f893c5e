"""The queries of `make bench-query`: the table of issue 18, and a few other common ones.

Ids are sampled from the store beforehand and used once each.
"""

import calendar
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from loadtests.query_client import Pairs
from loadtests.stored import Stored
from tests.support.product import Product

LOGS = "/api/v1/logs"
STATS = f"{LOGS}/stats"
DAY_S = 86400
EXPORTED = 1000
"""Records of the measured export."""
GOAL_MS = 100
"""For every query with an index and a time range, or an id."""


@dataclass(frozen=True, slots=True)
class QueryCase:
    """One row of the table."""

    name: str
    limit_ms: float
    request: Callable[[], tuple[str, Pairs]]
    """Return path and parameters of the next query."""
    peer: str = ""
    """Time of VictoriaLogs in ms."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Search values; each is used once."""

    traces: Iterator[str]
    actors: Iterator[str]
    records: Iterator[str]
    correlations: Iterator[str]
    attributes: Iterator[str]
    phrases: Iterator[str]
    """Contained in at most one record in fifty."""
    common: Iterator[str]
    """The most frequent ones."""
    needles: Iterator[str]
    """Rare words of packed records."""
    fresh_needles: Iterator[str]
    """Rare words of open segments."""
    services: Iterator[str]
    windows: Iterator[Pairs]
    """Time ranges with about EXPORTED records each."""


def query_cases(product: Product, rows: int, begin: str) -> list[QueryCase]:
    """Return the table of issue 18. The load tool's records end at `begin` and cover 24 hours."""
    ids = ids_of(product, rows, begin)
    day: Pairs = {"start": moment(seconds_of(begin) - DAY_S)}
    hour: Pairs = {"start": moment(seconds_of(begin) - 3600)}
    count: Pairs = {"interval": "none", "by": "level"} | day
    return [
        QueryCase(
            "trace by id, no range", 6, lambda: (f"{LOGS}/trace/{next(ids.traces)}", {}), "21"
        ),
        QueryCase("record by id", 4, lambda: (f"{LOGS}/{next(ids.records)}", {})),
        QueryCase("actor, newest 100", 15, lambda: (f"{LOGS}/actor/{next(ids.actors)}", day), "58"),
        QueryCase("last 100 ERROR", 5, lambda: (LOGS, {"level": "ERROR"}), "122"),
        QueryCase("phrase, newest 100", 8, lambda: (LOGS, quoted(ids.phrases) | day), "204"),
        QueryCase("needle, all classes", 8, lambda: (LOGS, quoted(ids.needles) | day), "9.6"),
        QueryCase("needle, just arrived", 60, lambda: (LOGS, quoted(ids.fresh_needles) | day)),
        QueryCase("attribute equality", 8, lambda: (LOGS, {"q": next(ids.attributes)} | day)),
        QueryCase(
            "correlation", 6, lambda: (LOGS, {"correlationId": next(ids.correlations)} | day)
        ),
        QueryCase("newest 100 of a service", 10, lambda: (LOGS, of_service(ids) | day)),
        QueryCase(
            "page of 500", 15, lambda: (LOGS, {"limit": 500, "end": next(ids.windows)["end"]})
        ),
        QueryCase("export of 1,000", 25, lambda: (f"{LOGS}/export", next(ids.windows)), "303"),
        QueryCase("its context", GOAL_MS, lambda: (f"{LOGS}/{next(ids.records)}/context", {})),
        QueryCase(
            *("count by service", 4),
            lambda: (STATS, {"by": "sourceModule", "interval": "none"} | day),
            "3.7",
        ),
        QueryCase(
            *("histogram by level", 40),
            lambda: (STATS, {"by": "level", "interval": "1m", "end": begin} | day),
            "590",
        ),
        QueryCase("count of a phrase", 15, lambda: (STATS, quoted(ids.phrases) | count), "1,014"),
        QueryCase("count of a common phrase", 60, lambda: (STATS, quoted(ids.common) | count)),
        QueryCase("count of a regex", 400, lambda: (STATS, {"q": next(_REGEXES)} | count)),
        QueryCase("facets of an hour", 40, lambda: (f"{LOGS}/facets", hour)),
        QueryCase(
            "facets under a phrase", 150, lambda: (f"{LOGS}/facets", quoted(ids.phrases) | day)
        ),
        QueryCase("trace list of an hour", 60, lambda: ("/api/v1/traces", hour)),
    ]


COLD = ("trace by id, no range", "needle, all classes", "actor, newest 100")
"""Also measured with nothing in the page cache."""
COLD_LIMIT_MS = 60
_REGEXES = itertools.cycle(
    [
        "message:/status (50[0-9]|404) in [0-9]+ ms/",
        "message:/order [A-Z0-9-]+ .*EUR/",
        "message:/took [0-9]{3,} ms/",
    ]
)


def quoted(texts: Iterator[str]) -> Pairs:
    """Search for this phrase."""
    return {"q": f'"{next(texts)}"'}


def of_service(ids: Ids) -> Pairs:
    """Search for one service's records."""
    return {"sourceModule": next(ids.services)}


def ids_of(product: Product, rows: int, begin: str) -> Ids:
    """Sample ids from packs and open segments, by their share of the rows."""
    packed, fresh = sample_packs(product), sample_leaves(product)
    everything = [*packed, *fresh[: max(1, len(packed) // 20)]]
    random.Random(1).shuffle(everything)
    messages = [row["message"] for row in everything]
    services = product.sql("SELECT DISTINCT source_module FROM log_counts_hourly WHERE kind <> 'a'")
    return Ids(
        traces=distinct(row["trace_id"] for row in everything),
        actors=distinct(row["actor_id"] for row in everything if row["actor_id"]),
        records=distinct(row["id"] for row in everything),
        correlations=distinct(row["correlation_id"] for row in everything if row["correlation_id"]),
        attributes=distinct(
            f'{name}:"{value}"'
            for row in everything
            for name, value in row["attributes"].items()
            if name in {"user.id", "order.id", "request.id"}
        ),
        phrases=itertools.cycle(frequent(messages, most=len(messages) // 50)),
        common=itertools.cycle(frequent(messages, most=len(messages))),
        needles=distinct(words(packed)),
        fresh_needles=distinct(words(fresh)),
        services=itertools.cycle(sorted(row[0] for row in services)),
        windows=windows(rows, begin),
    )


SAMPLED = 4000
"""Records whose ids are used."""
_NAMES = ("trace_id", "actor_id", "id", "message", "correlation_id")


def sample_packs(product: Product, *, most_packs: int | None = None) -> list[dict[str, Any]]:
    """Sample packed records, from random blocks of all packs, or of the first ones."""
    chance, found = random.Random(3), []
    packs = Stored(product).packs()[:most_packs]
    total = sum(pack.rows_total for pack in packs)
    for pack in packs:
        for _ in range(max(1, SAMPLED // 20 * pack.rows_total // total)):
            number = chance.randrange(len(pack.blocks))
            columns = pack.columns(number, [*_NAMES, "metadata", "kind"])
            size = len(columns["id"])
            found += [
                _sampled({name: of[at] for name, of in columns.items()})
                for at in chance.sample(range(size), min(20, size))
                if columns["kind"][at] == b"l" and columns["trace_id"][at] is not None
            ]
    return found


def sample_leaves(product: Product) -> list[dict[str, Any]]:
    """Sample records of segments that are not packed."""
    rows = product.sql(
        f"SELECT {', '.join(f'l.{name}' for name in _NAMES)}, l.metadata::text"  # noqa: S608 - constants
        " FROM system_logs AS l JOIN segments AS s USING (segment)"
        " WHERE s.state IN ('open', 'closed') AND l.trace_id IS NOT NULL AND l.kind = 'l'"
        f" ORDER BY random() LIMIT {SAMPLED}"
    )
    return [_sampled(dict(zip((*_NAMES, "metadata"), row, strict=True))) for row in rows]


def _sampled(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "trace_id": row["trace_id"].hex,
        "id": str(row["id"]),
        "attributes": json.loads(row["metadata"] or "{}").get("attributes", {}),
    }


def words(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield rare words of messages: ids of requests, orders, users."""
    for row in rows:
        for word in row["message"].split():
            plain = word.strip(",.:;()'\"")
            if len(plain) > 7 and sum(letter.isdigit() for letter in plain) > 5:
                yield plain
                break


def distinct(values: Iterable[str]) -> Iterator[str]:
    """Yield each value once; the store must contain enough of them."""
    return iter(list(dict.fromkeys(values)))


def frequent(messages: Iterable[str], *, most: int) -> list[str]:
    """Return the forty most frequent three-word phrases that up to `most` messages contain."""
    counts: Counter[str] = Counter()
    for message in messages:
        parts = message.split()
        for triple in zip(parts, parts[1:], parts[2:], strict=False):
            text = " ".join(triple)
            if text.replace(" ", "").isalpha():
                counts[text] += 1
    return [text for text, count in counts.most_common() if count <= most][:40]


def windows(rows: int, begin: str) -> Iterator[Pairs]:
    """Yield ranges of the day before `begin` with EXPORTED records each."""
    end_s = seconds_of(begin)
    length_s = EXPORTED * DAY_S / rows
    chosen = random.Random(2)
    while True:
        start = end_s - chosen.uniform(0.05, 0.95) * DAY_S
        yield {"start": moment(start), "end": moment(start + length_s)}


def seconds_of(text: str) -> int:
    """Return seconds since 1970."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def moment(at_s: float) -> str:
    """Format as RFC 3339 with milliseconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))
    return f"{whole}.{int(at_s % 1 * 1000):03}Z"
