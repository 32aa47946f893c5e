"""Run a client program, read its records back through the API, and compare every field.

A program prints the records that it expects (python/account.py says how), one JSON object a line.
"""

import json
import re
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from tests.support.environments import bare
from tests.support.product import Product

Record = dict[str, Any]

TIMEOUT_S = 90
KEYS = {
    *("id", "kind", "level", "sourceModule", "action", "resourceId", "resourceType", "actorId"),
    *("ipAddress", "correlationId", "traceId", "spanId", "parentSpanId", "message", "createdAt"),
    *("receivedAt", "durationNs", "metadata"),
}
METADATA_KEYS = {
    *("attributes", "resource", "scope", "body", "span", "exception", "otel", "redaction"),
}
MS_NS = 1_000_000
WHOLE_DOUBLES = 2.0**53
"""From here on doubles have no fraction."""


@dataclass
class Sent:
    """The records that a program reported, and its start time."""

    service: str
    began_ns: int
    records: list[Record] = field(default_factory=list)


def send(
    product: Product, service: str, command: list[str | Path], endpoint: str = "", **variables: str
) -> Sent:
    """Run a program with the standard variables; it must succeed without warnings."""
    began_ns = time.time_ns()
    done = subprocess.run(
        [str(word) for word in command],
        env=bare(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint or product.otlp_url,
            OTEL_SERVICE_NAME=service,
            **variables,
        ),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    records = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert records, "the program reported nothing"
    return Sent(service, began_ns, records)


def stored(product: Product, service: str, count: int) -> list[Record]:
    """All records of a service, once there are `count` of them, in the API's order."""
    product.wait(lambda: len(_pages(product, service)) >= count)
    return _pages(product, service)


def _pages(product: Product, service: str) -> list[Record]:
    found: list[Record] = []
    query = {"sourceModule": service, "order": "asc", "limit": "1000", "start": "-1h"}
    while True:
        page = product.get(f"/api/v1/logs?{urlencode(query)}")
        assert set(page) == {"data", "nextCursor"}
        found += page["data"]
        if page["nextCursor"] is None:
            return found
        query["cursor"] = page["nextCursor"]


def check(product: Product, sent: Sent) -> list[Record]:
    """Check that all records are stored once, as sent, and are found by trace id."""
    found = stored(product, sent.service, len(sent.records))
    for record in found:
        _check_outline(record, sent)
    _check_all(sent.records, found)
    traces = {record["traceId"] for record in sent.records} - {None}
    for trace_id in traces:
        page = product.get(f"/api/v1/logs/trace/{trace_id}?limit=1000")
        wanted = [record for record in sent.records if record["traceId"] == trace_id]
        _check_all(wanted, page["data"])
    return found


def _check_outline(record: Record, sent: Sent) -> None:
    """Checks for every record: its keys, its id's time, its arrival time."""
    assert set(record) == KEYS
    assert set(record["metadata"]) >= METADATA_KEYS
    identity = UUID(record["id"])
    assert identity.version == 7
    assert identity.int >> 80 == unix_ns(record["createdAt"]) // MS_NS
    received_ns = unix_ns(record["receivedAt"])
    assert sent.began_ns // 1000 <= received_ns // 1000 <= time.time_ns() // 1000


def _check_all(wanted: list[Record], found: list[Record]) -> None:
    """The same records in any order: spans are sent when they end."""
    left: dict[tuple[str, str], list[Record]] = {}
    for record in found:
        left.setdefault((record["kind"], record["message"]), []).append(record)
    for expected in wanted:
        alike = left.get((expected["kind"], str(expected["message"]))) or [*chain(*left.values())]
        nearest = min(alike, key=lambda record: len(differences(expected, record)), default=None)
        assert nearest is not None, f"not stored: {expected}"
        unlike = differences(expected, nearest)
        assert not unlike, "\n".join([f"{expected['kind']} {expected['message']!r}:", *unlike])
        left[nearest["kind"], nearest["message"]].remove(nearest)
    surplus = list(chain(*left.values()))
    assert not surplus, f"{len(surplus)} records that nobody sent, e.g. {surplus[0]}"


def differences(expected: Record, record: Record) -> list[str]:
    """Differences from the expected record; `id` and `receivedAt` are checked separately."""
    rest = {name: value for name, value in record.items() if name not in {"id", "receivedAt"}}
    # What was hidden is a set: its order tells which attributes the receiver had met before.
    marks = sorted(record["metadata"]["redaction"], key=_mark)
    rest["metadata"] = {**record["metadata"], "redaction": marks}
    return _unlike("", expected, rest)


def _mark(entry: dict[str, str]) -> tuple[str, str]:
    return entry["field"], entry["rule"]


def _unlike(where: str, expected: Any, found: Any) -> list[str]:
    if isinstance(expected, dict) and set(expected) == {"$between"}:
        low, high = expected["$between"]
        number = unix_ns(found) if isinstance(found, str) else found
        return [] if low <= number <= high else [f"{where}: {found} is not in {low}..{high}"]
    if isinstance(expected, dict) and set(expected) == {"$pattern"}:
        matches = isinstance(found, str) and re.fullmatch(expected["$pattern"], found)
        return [] if matches else [f"{where}: {found!r} is not like {expected['$pattern']}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key in {**expected, **found}
            for line in (
                _unlike(f"{where}.{key}", expected[key], found[key])
                if key in expected and key in found
                else [f"{where}.{key}: {'missing' if key in expected else 'not expected'}"]
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for at, (a, b) in pairs for line in _unlike(f"{where}[{at}]", a, b)]
    if _same(expected, found):
        return []
    return [f"{where}: expected {expected!r}, found {found!r}"]


def _same(expected: Any, found: Any) -> bool:
    """Equal and of one type; but the store writes 1.5e300 in full, which is read as an integer."""
    if type(expected) is float and type(found) is int and abs(expected) >= WHOLE_DOUBLES:
        return float(found) == expected
    return type(expected) is type(found) and bool(expected == found)


def unix_ns(text: str) -> int:
    """Nanoseconds of a time in the API's format."""
    assert text.endswith("Z"), text
    whole, _, fraction = text[:-1].partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0") or "0")
