"""The message of a record: OTLP's points 107 to 110 and 115."""

import pytest

from tests.support.telemetry import metadata_of, one_log, span, spans

TEXTS = ["hello", "two\nlines\r\n", "\u2028 \u202e \u0301 \uffff 😀", " spaces "]


@pytest.mark.parametrize("text", TEXTS)
def test_points_75_and_107_a_text_is_the_message_as_it_is(text):
    """Line breaks, any Unicode; not stored a second time."""
    record = one_log(body=text)

    assert record.message == text
    assert "body" not in metadata_of(record)


SCALARS = [
    (True, "true", True),
    (-42, "-42", -42),
    (637.704, "637.704", 637.704),
    (b"hi", "aGk=", "aGk="),
    ([1, "a", None], '[1, "a", null]', [1, "a", None]),
    ({"b": 1, "a": {"x": []}}, '{"a": {"x": []}, "b": 1}', {"b": 1, "a": {"x": []}}),
    (float("nan"), "NaN", "NaN"),
    (float("inf"), "Infinity", "Infinity"),
    (float("-inf"), "-Infinity", "-Infinity"),
    ([float("nan")], '["NaN"]', ["NaN"]),
    ([], "[]", []),
    ({}, "{}", {}),
    (0, "0", 0),
    (False, "false", False),
    (b"", "", ""),
]


@pytest.mark.parametrize(("body", "message", "kept"), SCALARS, ids=repr)
def test_points_108_and_109_other_bodies_are_shown_and_kept_typed(body, message, kept):
    """Common rules for AnyValues outside OTLP; the typed value stays in metadata."""
    record = one_log(body=body)

    assert record.message == message
    assert metadata_of(record)["body"] == kept


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"message": "m", "msg": "n"}, "m"),
        ({"msg": "n", "log": "l"}, "n"),
        ({"log": "l", "event": "e"}, "l"),
        ({"event": "e"}, "e"),
        ({"message": "", "msg": "n"}, "n"),
        ({"message": {"a": 1}, "event": "e"}, "e"),
    ],
    ids=str,
)
def test_the_message_of_a_map_is_its_text(body, expected):
    """The whole map stays in metadata.body."""
    record = one_log(body=body)

    assert record.message == expected
    assert metadata_of(record)["body"] == body


def test_points_108_and_110_a_map_without_members_is_shown_as_one():
    """108, 110: an event with such a body is still named by its event name."""
    assert one_log(body={}, eventName="user.login").message == "user.login"


def test_point_110_empty_and_absent_are_distinguished():
    """Both have an empty message."""
    empty, absent = one_log(body=""), one_log()

    assert (empty.message, absent.message) == ("", "")
    assert metadata_of(empty)["body"] == ""
    assert "body" not in metadata_of(absent)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"exception.type": "E", "exception.message": "boom"}, "E: boom"),
        ({"exception.type": "E"}, "E"),
        ({"exception.message": "boom"}, "boom"),
        ({"exception.stacktrace": "at x"}, ""),
    ],
    ids=str,
)
def test_without_a_body_the_message_is_the_exception(attributes, expected):
    """Type and message."""
    assert one_log(attributes).message == expected


@pytest.mark.parametrize(
    ("body", "attributes", "expected"),
    [
        (None, {}, "user.login"),
        (None, {"user.id": "u-1", "n": 5}, "user.login user.id=u-1 n=5"),
        (None, {"long": "x" * 100, "map": {"a": 1}, "ok": "y"}, "user.login ok=y"),
        ({"payload": 1}, {}, "user.login"),
        ("text", {}, "text"),
    ],
    ids=str,
)
def test_point_115_an_event_without_text_is_named_with_its_short_attributes(
    body, attributes, expected
):
    """At most eight of them."""
    fields = {} if body is None else {"body": body}

    record = one_log(attributes, eventName="user.login", **fields)

    assert record.message == expected
    assert record.action == "user.login"
    assert metadata_of(record)["otel"]["event_name"] == "user.login"


def test_at_most_eight_attributes_are_named():
    """A message is one line."""
    attributes = {f"k{n}": n for n in range(20)}

    assert one_log(attributes, eventName="e").message.count("=") == 8


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "GET /orders UNSET 12.3 ms"),
        ({"status": {"code": 1}}, "GET /orders OK 12.3 ms"),
        ({"status": {"code": 2, "message": "no"}}, "GET /orders ERROR 12.3 ms"),
        ({"status": {"code": 7}}, "GET /orders UNSET 12.3 ms"),
        ({"endTimeUnixNano": 0}, "GET /orders UNSET"),
        ({"name": ""}, "unknown UNSET 12.3 ms"),
    ],
    ids=str,
)
def test_a_span_s_message_is_name_status_and_duration(fields, expected):
    """Milliseconds with one digit; point 129: a span without a name is unknown."""
    assert spans(span(**fields))[0].message == expected
