"""The comparison of client records detects every difference."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.clients.comparing import Record, differences, unix_ns

SENT: Record = {
    "kind": "log",
    "traceId": None,
    "createdAt": "2026-11-23T09:00:00.123456789Z",
    "metadata": {
        "attributes": {"n": 1, "half": 1.0, "yes": True, "texts": ["a", "b"], "huge": 1.5e300},
        "redaction": [],
    },
}
STORED: Record = {**deepcopy(SENT), "id": "anything", "receivedAt": "2026-11-23T09:00:01Z"}
STORED["metadata"]["attributes"]["huge"] = int(1.5e300)


def test_same_record_has_no_differences() -> None:
    assert differences(SENT, STORED) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(createdAt="2026-11-23T09:00:00.123456788Z"),
        lambda record: record.update(traceId=""),
        lambda record: record.update(extra=None),
        lambda record: record.pop("kind"),
        lambda record: record["metadata"]["attributes"].update(n=True),
        lambda record: record["metadata"]["attributes"].update(n=1.0),
        lambda record: record["metadata"]["attributes"].update(n="1"),
        lambda record: record["metadata"]["attributes"].update(half=1),
        lambda record: record["metadata"]["attributes"].update(yes=1),
        lambda record: record["metadata"]["attributes"].update(texts=["b", "a"]),
        lambda record: record["metadata"]["attributes"].update(texts=["a"]),
        lambda record: record["metadata"]["attributes"].update(huge=int(1.6e300)),
        lambda record: record["metadata"].update(level_source="default"),
        lambda record: record["metadata"].update(redaction=[{"rule": "jwt", "field": "message"}]),
    ],
)
def test_every_change_is_seen(change: Callable[[Record], Any]) -> None:
    changed = deepcopy(STORED)
    change(changed)

    assert differences(SENT, changed)


def test_open_values_have_bounds() -> None:
    time = unix_ns(SENT["createdAt"])
    expected = {**SENT, "createdAt": {"$between": [time, time]}, "kind": {"$pattern": "l.g"}}

    assert differences(expected, STORED) == []
    assert differences({**expected, "createdAt": {"$between": [time + 1, time + 2]}}, STORED)
    assert differences({**expected, "kind": {"$pattern": "lo"}}, STORED)
