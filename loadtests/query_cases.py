"""The queries of `make bench-query`: the table of issue 7, and a few other common ones.

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
    attributes: Iterator[str]
    phrases: Iterator[str]
    """Contained in at most one record in fifty."""
    common: Iterator[str]
    """The most frequent ones."""
    packed_words: Iterator[str]
    unpacked_words: Iterator[str]
    windows: Iterator[Pairs]
    """Time ranges with about EXPORTED records."""


def query_cases(
    product: Product, rows: int, begin: str, packed_until: str, unpacked_from: str
) -> list[QueryCase]:
    """Return the table.

    Records of 24 hours end at `begin`; those that arrived until `packed_until` are packed, and later ones
    are dated from `unpacked_from` on.
    """
    ids = ids_of(product, rows, begin, packed_until)
    day: Pairs = {"start": moment(seconds_of(begin) - DAY_S)}
    packed: Pairs = day | {"end": unpacked_from}
    hour = moment(seconds_of(begin) - 3600)
    page = walk(ids)
    return [
        QueryCase(
            "trace by id, no range", 6, lambda: (f"{LOGS}/trace/{next(ids.traces)}", {}), "21"
        ),
        QueryCase("actor, newest 100", 10, lambda: (f"{LOGS}/actor/{next(ids.actors)}", day), "58"),
        QueryCase("last 100 ERROR", 6, lambda: (LOGS, {"level": "ERROR"}), "122"),
        QueryCase("phrase, newest 100", 20, lambda: (LOGS, quoted(ids.phrases) | day), "204"),
        QueryCase(
            *("needle, packed", 25),
            lambda: (LOGS, quoted(ids.packed_words) | packed | {"minLevel": "INFO"}),
            "9.6",
        ),
        QueryCase(
            # DEBUG has no text index by default: no goal, but never seconds.
            *("needle, DEBUG as well", 1000),
            lambda: (LOGS, quoted(ids.packed_words) | packed),
        ),
        QueryCase(
            *("needle, just arrived", 150),
            lambda: (LOGS, quoted(ids.unpacked_words) | day | {"minLevel": "INFO"}),
        ),
        QueryCase(
            *("metadata equality, packed", 20),
            lambda: (LOGS, {"q": next(ids.attributes)} | packed),
        ),
        QueryCase(
            *("the same, unpacked as well", 150),
            lambda: (LOGS, {"q": next(ids.attributes)} | day),
        ),
        QueryCase(
            *("count by service", 4),
            lambda: (STATS, {"by": "sourceModule", "interval": "none"} | day),
            "3.7",
        ),
        QueryCase(
            *("histogram by level", 50),
            lambda: (STATS, {"by": "level", "interval": "1m"} | day),
            "590",
        ),
        QueryCase(
            *("phrase count", 150),
            lambda: (
                STATS,
                quoted(ids.phrases) | {"interval": "none", "minLevel": "INFO"} | packed,
            ),
            "1,014",
        ),
        QueryCase(
            *("count of a common phrase", 1000),
            lambda: (STATS, quoted(ids.common) | {"interval": "none"} | day),
        ),
        QueryCase("export of 1,000", 30, lambda: (f"{LOGS}/export", next(ids.windows)), "303"),
        QueryCase("page of 500 by cursor", 20, page),
        QueryCase("record by id", GOAL_MS, lambda: (f"{LOGS}/{next(ids.records)}", {})),
        QueryCase("its context", GOAL_MS, lambda: (f"{LOGS}/{next(ids.records)}/context", {})),
        QueryCase("newest 100 of a service", GOAL_MS, lambda: (LOGS, of_service() | day)),
        QueryCase("facets of the last hour", GOAL_MS, lambda: (f"{LOGS}/facets", {"start": hour})),
    ]


def quoted(texts: Iterator[str]) -> Pairs:
    """Search for this phrase."""
    return {"q": f'"{next(texts)}"'}


_services: list[str] = []


def of_service() -> Pairs:
    """Search for one service's records."""
    return {"sourceModule": random.choice(_services)}


def walk(ids: Ids) -> Callable[[], tuple[str, Pairs]]:
    """Return pages of 500, each from another time of the day."""

    def page() -> tuple[str, Pairs]:
        window = next(ids.windows)
        return LOGS, {"limit": 500, "end": window["end"]}

    return page


def ids_of(product: Product, rows: int, begin: str, packed_until: str) -> Ids:
    """Sample ids from both parts of the store."""
    old = sample(product, packed_until, "<", 500_000 / rows)
    new = sample(product, packed_until, ">=", 100)
    _services[:] = [
        row[0] for row in product.sql("SELECT DISTINCT source_module FROM log_counts_hourly")
    ]
    everything = [*old, *new]
    random.Random(1).shuffle(everything)
    messages = [row["message"] for row in everything]
    return Ids(
        traces=distinct(row["trace"] for row in everything),
        actors=distinct(row["actor"] for row in everything if row["actor"]),
        records=distinct(row["id"] for row in everything),
        attributes=distinct(
            f'{name}:"{value}"'
            for row in everything
            for name, value in row["attributes"].items()
            if name in {"user.id", "order.id", "request.id"}
        ),
        phrases=itertools.cycle(frequent(messages, most=len(messages) // 50)),
        common=itertools.cycle(frequent(messages, most=len(messages))),
        packed_words=distinct(words(old)),
        unpacked_words=distinct(words(new)),
        windows=windows(rows, begin),
    )


def sample(product: Product, moment: str, side: str, percent: float) -> list[dict[str, Any]]:
    """Sample records before or after a time from the whole store."""
    share = min(percent, 100)
    found = product.sql(
        "SELECT replace(trace_id::text, '-', ''), actor_id, id::text, message,"  # noqa: S608
        f" metadata -> 'attributes' FROM system_logs TABLESAMPLE system ({share})"
        f" WHERE trace_id IS NOT NULL AND received_at {side} '{moment}' ORDER BY random() LIMIT 2000"
    )
    names = ("trace", "actor", "id", "message")
    return [
        dict(zip(names, row[:4], strict=True)) | {"attributes": json.loads(row[4] or "{}")}
        for row in found
    ]


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
