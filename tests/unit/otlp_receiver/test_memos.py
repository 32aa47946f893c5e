"""The codec's caches are bounded and never change a result."""

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otlp_receiver.export import Encoding, Signal
from otlp_receiver.memos import Memo, Memos
from tests.support.telemetry import (
    Key,
    attributes_proto,
    columns_of,
    log,
    logs_json,
    logs_proto,
    make_codec,
    metadata_of,
    span,
    spans,
    stored,
)


def test_entries_are_bounded():
    """Two generations with half of the entries each."""
    memo = Memo[int, str](100, 10**9)

    for number in range(1000):
        memo.add(number, "x", 1)

    assert len(memo) <= 100
    assert memo.find(999) == "x"
    assert memo.find(0) is None


def test_bytes_are_bounded():
    """By the given sizes plus the overhead of an entry."""
    memo = Memo[int, str](10**6, 100_000)

    for number in range(1000):
        memo.add(number, "x", 10_000)

    assert len(memo) <= 10


def test_used_entries_survive_an_eviction():
    """A find moves an entry into the younger generation."""
    memo = Memo[int, str](100, 10**9)
    memo.add(-1, "kept", 1)

    for number in range(1000):
        memo.add(number, "x", 1)
        assert memo.find(-1) == "kept"


def test_the_younger_generation_stays_the_same_object():
    """A hot loop keeps its bound method while other code adds entries."""
    memo = Memo[int, str](4, 10**9)
    known = memo.young.get

    for number in range(9):
        memo.add(number, str(number), 1)

    assert known(8) == "8"


def test_every_reader_uses_the_older_generation(monkeypatch):
    """With two entries per memo all attributes, heads, shapes and streams are evicted and read again."""
    monkeypatch.setattr("otlp_receiver.memos.Memo.__init__", _tiny)
    body = logs_json(
        *[log({"a": n % 3, "p": "hunter2", f"k{n % 3}": 1}, severityText=str(n % 3))
          for n in range(30)],
        resource={"service.name": "s"},
    )  # fmt: skip
    codec, fresh = make_codec(), Memos()
    assert len(fresh.attributes) == 0

    first = stored(body, codec=codec)
    for _ in range(3):
        again = stored(body, codec=codec)
        assert [columns_of(record) for record in again.records] == [
            columns_of(record) for record in first.records
        ]
        assert again.redactions == first.redactions == {"password": 30}
        traced = spans(span({"a": 1, "p": "hunter2"}), codec=codec)
        assert metadata_of(traced[0])["redaction"][0]["field"] == "attributes.p"


def _tiny(self, max_entries, max_bytes):
    self.young, self._old = {}, {}
    self._max_entries, self._max_bytes, self._bytes = 2, 10**9, 0


def test_keys_of_senders_do_not_mix():
    """The same stream with two ingest keys is two streams."""
    codec = make_codec()
    body = logs_json(log(), resource={"service.name": "s"})

    streams = [
        next(iter(stored(body, codec=codec, key=Key(id=n, attributes=(("k", n),))).streams))
        for n in (1, 2, 1)
    ]

    assert streams[0] == streams[2] != streams[1]


def test_long_heads_and_names_are_not_cached():
    """They rarely repeat."""
    codec = make_codec()
    body = logs_json(log(eventName="e" * 5000), log(eventName="e" * 5000))

    for _ in range(2):
        assert {record.action[:50] for record in stored(body, codec=codec).records} == {"e" * 50}


@pytest.mark.parametrize("place", [0, 1], ids=["json", "protobuf"])
def test_decoding_alone_changes_nothing(place):
    """A request that was decoded but not redacted leaves no trace in the memos."""
    codec = make_codec()
    encoding, body = [
        (Encoding.JSON, logs_json(log({"a": "x"}), log({"a": "x"}))),
        (Encoding.PROTOBUF, logs_proto(LogRecord(attributes=attributes_proto({"a": "x"})))
         .SerializeToString()),
    ][place]  # fmt: skip

    for _ in range(2):
        export = codec.decode(Signal.LOGS, encoding, body)
        for group in export.logs:
            for row in group.rows:
                assert row[6] == [None]
                assert [item[3] for item in row[7]] == [("a", "x")]
