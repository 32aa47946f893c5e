"""Members of metadata, including what columns or limits could not hold."""

import json
from uuid import UUID

import pytest

from config.levels import Level
from otlp_receiver.export import Signal
from otlp_receiver.mapping.context import MAX_METADATA_BYTES
from storage.record.canonical import canonical
from storage.record.correlation import stored_correlation
from storage.record.record_ids import id_of
from tests.support.telemetry import (
    NOW_NS,
    SPAN_ID,
    TRACE_ID,
    Key,
    log,
    logs_json,
    make_codec,
    metadata_of,
    one_log,
    span,
    spans_json,
    stored,
)


def test_every_part_has_its_place():
    """Exactly these members, each only if not empty."""
    record = one_log(
        {
            "audit.actor.id": "a",
            "audit.actor.type": "user",
            "audit.action": "delete",
            "audit.outcome": "failure",
            "audit.source.id": "10.0.0.1",
            "exception.type": "E",
            "pass": "hunter2",
        },
        body={"x": 1},
        timeUnixNano="5",
        observedTimeUnixNano="6",
        flags=3,
        eventName="e",
        severityText="x",
        droppedAttributesCount=7,
    )

    assert metadata_of(record) == {
        "attributes": {
            "audit.actor.id": "a",
            "audit.actor.type": "user",
            "audit.action": "delete",
            "audit.outcome": "failure",
            "audit.source.id": "10.0.0.1",
            "exception.type": "E",
            "pass": "[hidden]",
        },
        "audit": {
            "action": "delete",
            "outcome": "failure",
            "actor": {"type": "user"},
            "source": {"id": "10.0.0.1"},
        },
        "body": {"x": 1},
        "exception": {"type": "E"},
        "level_source": "exception",
        "otel": {
            "flags": 3,
            "event_name": "e",
            "observed_ns": 6,
            "severity_text": "x",
            "severity_number": 0,
            "dropped_attributes_count": 7,
        },
        "redaction": [{"rule": "password", "count": 1, "field": "attributes.pass"}],
        "time_quality": "past",
    }
    assert canonical(json.loads(record.metadata)) == record.metadata


def test_an_ordinary_record_has_nothing_extra():
    """One number, one attribute."""
    assert one_log({"a": 1}, severityNumber=9).metadata == (
        b'{"otel": {"severity_number": 9}, "attributes": {"a": 1}}'
    )


@pytest.mark.parametrize("fields", [{}, {"observedTimeUnixNano": "5"}], ids=str)
def test_without_attributes_there_are_none(fields):
    """No empty object."""
    assert "attributes" not in metadata_of(one_log(severityNumber=9, **fields))


def test_point_112_members_are_in_jsonb_s_order():
    """By length, then bytes; of duplicate keys the last."""
    record = one_log([("bb", 1), ("c", 2), ("bb", 3), ("é", 4), ("a", 5)])

    assert b'"attributes": {"a": 5, "c": 2, "bb": 3, "\xc3\xa9": 4}' in record.metadata


def test_point_113_the_last_of_two_equal_keys_counts_for_columns_too():
    """As in jsonb."""
    assert one_log([("user.id", "first"), ("user.id", "last")]).actor_id == "last"


def test_point_116_flags_are_kept_as_sent():
    """Sampled is the lowest bit of the lowest byte, for readers."""
    assert metadata_of(one_log(flags=0x103))["otel"]["flags"] == 0x103


@pytest.mark.parametrize(
    ("attributes", "column", "characters"),
    [
        ({"source.module": "m" * 60}, "source_module", 50),
        ({"action": "a" * 120}, "action", 100),
        ({"resource.type": "t" * 60, "resource.id": "x"}, "resource_type", 50),
        ({"resource.id": "r" * 300}, "resource_id", 255),
        ({"user.id": "u" * 300}, "actor_id", 255),
    ],
    ids=str,
)
def test_values_too_long_for_a_column_get_a_hash_and_are_kept_in_full(
    attributes, column, characters
):
    """Two long names remain different; metadata.otel.full has the full value."""
    (full,) = [value for value in attributes.values() if len(value) > characters]
    other = {key: value[:-1] + "z" for key, value in attributes.items()}

    record = one_log(attributes)

    kept = getattr(record, column)
    assert len(kept) == characters
    assert kept[: characters - 9] == full[: characters - 9]
    assert metadata_of(record)["otel"]["full"] == {column: full}
    assert getattr(one_log(other), column) != kept


def test_a_long_module_of_the_resource_is_truncated_the_same_way():
    """In each record."""
    record = one_log(resource={"service.name": "s" * 60})

    assert len(record.source_module) == 50
    assert metadata_of(record)["otel"]["full"] == {"source_module": "s" * 60}


def test_long_correlation_ids_become_uuids_that_a_search_finds():
    """By the function that searches use."""
    record = one_log({"correlation.id": "c" * 37})

    assert record.correlation_id == stored_correlation("c" * 37)
    assert UUID(record.correlation_id).version == 5
    assert metadata_of(record)["otel"]["full"] == {"correlation_id": "c" * 37}
    assert one_log({"correlation.id": "c" * 36}).correlation_id == "c" * 36


def test_point_49_long_messages_are_truncated_and_marked():
    """At a character boundary, with the original size in metadata.otel.cut."""
    codec = make_codec({"message_bytes": 1024})

    record = one_log(body="é" * 600, codec=codec)

    assert record.message == "é" * 512
    assert metadata_of(record)["otel"]["cut"] == {"message": 1200}
    assert one_log(body="e" * 1024, codec=codec).message == "e" * 1024
    assert "cut" not in metadata_of(one_log(body="e" * 300, codec=codec))["otel"]


def test_point_49_long_values_and_keys_are_truncated_and_marked():
    """A key of 70,000 characters, a text and bytes over the limit, also in maps."""
    codec = make_codec({"value_bytes": 1024, "key_bytes": 256})

    record = one_log(
        {"k" * 70_000: "v", "text": "t" * 2000, "raw": b"r" * 2000, "map": {"x": ["y" * 1500]}},
        body={"b": "z" * 1100},
        codec=codec,
    )

    metadata = metadata_of(record)
    (long_key,) = [key for key in metadata["attributes"] if key.startswith("kkk")]
    assert len(long_key) == 64
    assert metadata["attributes"]["text"] == "t" * 1024
    assert len(metadata["attributes"]["raw"]) == 1368  # 1024 bytes in base64
    assert metadata["attributes"]["map"] == {"x": ["y" * 1024]}
    assert metadata["body"] == {"b": "z" * 1024}
    assert metadata["otel"]["cut"] == {
        f"attributes.{long_key} (key)": 70_000,
        "attributes.text": 2000,
        "attributes.raw": 2000,
        "attributes.map": 1500,
        "body": 1100,
    }


def test_new_attributes_shared_by_records_are_the_same_in_each():
    """Redacted together: the first occurrence is cached, or truncated, for the others."""
    codec = make_codec({"value_bytes": 1024, "key_bytes": 1024})
    attributes = {"a": "x", "secret": "hunter2", "text": "t" * 2000}
    body = logs_json(*[log(attributes) for _ in range(60)])

    batch = stored(body, codec=codec)

    metadata = [metadata_of(record) for record in batch.records]
    assert all(each == metadata[0] for each in metadata)
    assert metadata[0]["attributes"] == {"a": "x", "secret": "[hidden]", "text": "t" * 1024}
    assert metadata[0]["otel"]["cut"] == {"attributes.text": 2000}
    assert metadata[0]["redaction"][0]["field"] == "attributes.secret"
    assert batch.redactions == {"password": 60}


def test_a_long_value_that_is_not_over_the_limit_is_kept():
    """Its JSON may be longer than the limit; the value is not."""
    codec = make_codec({"value_bytes": 1024, "key_bytes": 1024})

    record = one_log({"list": ["x" * 600, "y" * 600]}, body=["x" * 600, "y" * 600], codec=codec)

    assert "cut" not in metadata_of(record)["otel"]


def test_a_secret_is_redacted_before_truncation():
    """Half a secret would not be recognized."""
    codec = make_codec({"value_bytes": 1024, "message_bytes": 1024})

    record = one_log({"text": "t" * 1020 + "hunter2"}, body="m" * 1020 + "hunter2", codec=codec)

    assert b"hun" not in record.metadata
    assert record.message == "m" * 1020 + "[hid"


def test_more_attributes_than_the_limit_are_dropped_and_counted():
    """limits.attributes, of logs, spans, events and links."""
    codec = make_codec({"attributes": 128})
    many = {f"k{n}": n for n in range(200)}

    record = one_log(many, codec=codec)
    traced = stored(
        spans_json(span(many, events=[{"attributes": log(many)["attributes"]}])),
        Signal.TRACES,
        codec=codec,
    ).records[0]

    assert len(metadata_of(record)["attributes"]) == 128
    assert metadata_of(record)["otel"]["cut"] == {"attributes": 200}
    assert metadata_of(traced)["otel"]["cut"] == {"attributes": 200, "events[0].attributes": 200}
    assert len(metadata_of(traced)["span"]["events"][0]["attributes"]) == 128


def test_ids_keep_the_order_of_a_request():
    """Equal times: by position, then random."""
    batch = stored(logs_json(*[log(body=str(n)) for n in range(300)]))

    ids = [record.id for record in batch.records]
    assert ids == sorted(ids)
    assert len(set(ids)) == 300


def test_ids_order_by_time_to_the_nanosecond():
    """And have the layout of UUIDv7."""
    times = [0, 1, 255, 256, 999_999, 1_000_000, NOW_NS, NOW_NS + 1, 2**64 - 1]

    ids = [id_of(time_ns, 0) for time_ns in times]

    assert ids == sorted(ids)
    assert all(UUID(bytes=raw).version == 7 for raw in ids)
    assert UUID(bytes=id_of(NOW_NS, 0)).int >> 80 == NOW_NS // 1_000_000


@pytest.mark.parametrize("key", ["log.record.uid", "audit.record.id"])
def test_a_record_with_a_natural_key_gets_the_same_id_again(key):
    """A hash of it replaces the random part."""
    first, again = one_log({key: "r-1"}), one_log({key: "r-1"}, body="other")

    assert first.id == again.id
    assert first.id != one_log({key: "r-2"}).id
    assert one_log({key: ""}).id != one_log({key: ""}).id


def test_invalid_ids_are_kept_in_metadata():
    """In hex; a span id without a trace id is not used."""
    odd = one_log(traceId="abcd", spanId=SPAN_ID)
    right = one_log(traceId=TRACE_ID, spanId=SPAN_ID)

    assert metadata_of(odd)["otel"]["trace_id"] == "abcd"
    assert metadata_of(odd)["otel"]["span_id"] == SPAN_ID
    assert "trace_id" not in metadata_of(right)["otel"]


def test_a_key_s_attributes_override_the_resource():
    """The operator overrides the sender."""
    codec = make_codec()
    body = logs_json(log(), resource={"team": "mine", "service.name": "shop"})
    key = Key(id=7, attributes=(("team", "payments"), ("pass", "hunter2")))

    plain = stored(body, codec=codec)
    keyed = stored(body, codec=codec, key=key)
    changed = stored(body, codec=codec, key=Key(id=7, attributes=(("team", "x"),)))

    (stream,) = keyed.streams.values()
    assert json.loads(stream.resource) == {
        "team": "payments",
        "service.name": "shop",
        "pass": "[hidden]",
    }
    assert len({next(iter(batch.streams)) for batch in (plain, keyed, changed)}) == 3


def test_records_below_the_minimum_level_are_rejected():
    """Counted by reason."""
    body = logs_json(*[log(severityNumber=number) for number in (5, 9, 13, 17)])

    batch = stored(body, key=Key(min_level=Level.WARN))

    assert [record.level for record in batch.records] == [Level.WARN, Level.ERROR]
    assert batch.rejected == {"below_min_level": 2}
    assert batch.received == 4


@pytest.mark.parametrize("key", [Key(), Key(min_level=Level.DEBUG)], ids=["plain", "level"])
def test_records_that_would_exhaust_memory_are_rejected(monkeypatch, key):
    """A double of 1e308 is nine bytes on the wire and 310 in jsonb."""
    assert MAX_METADATA_BYTES == 512 * 2**20
    monkeypatch.setattr("otlp_receiver.mapping.context.MAX_METADATA_BYTES", 1000)

    batch = stored(logs_json(*[log({"n": 1e308}) for _ in range(9)]), key=key)

    assert len(batch.records) == 3
    assert batch.rejected == {"too_much": 6}
