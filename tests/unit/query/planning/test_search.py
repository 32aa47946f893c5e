"""Parameters of searches, and errors for invalid ones."""

import ipaddress
from uuid import UUID

import pytest

from config.errors import BadInput
from config.levels import Level
from query.planning.compile import Order
from query.planning.search import AHEAD_NS, EXPORT, SEARCH, TRACE, parse
from storage.filtering.filters import (
    EVERYTHING,
    And,
    AttrEquals,
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    IpIn,
    Or,
    ResourceEquals,
    Text,
)
from storage.record import fields
from storage.record.correlation import stored_correlation
from storage.record.fields import Kind

NOW_NS = 1_790_000_000_000_000_000


def parse_parameters(*pairs, shape=SEARCH, stored_as=lambda _, value: value, **rest):
    return parse(pairs, shape, now_ns=NOW_NS, stored_as=stored_as, **rest)


def test_no_parameters_mean_the_newest_hundred_until_a_day_from_now():
    search = parse_parameters()

    assert search.where == EVERYTHING
    assert (search.start_ns, search.end_ns) == (None, NOW_NS + AHEAD_NS)
    assert (search.order, search.limit, search.cursor) == (Order.NEWEST, 100, None)
    assert search.kinds == frozenset()


def test_a_trace_has_no_time_range_and_begins_with_the_oldest():
    search = parse_parameters(shape=TRACE)

    assert (search.start_ns, search.end_ns) == (None, None)
    assert (search.order, search.limit) == (Order.OLDEST, 1000)


FILTERS = [
    ([("level", "warn")], FieldEquals(fields.LEVEL, Level.WARN)),
    (
        [("level", "WARN"), ("level", "ERROR"), ("level", "warn")],
        FieldIn(fields.LEVEL, (Level.WARN, Level.ERROR)),
    ),
    (
        [("minLevel", "ERROR")],
        FieldCompare(fields.LEVEL, Comparison.GREATER_OR_EQUAL, Level.ERROR),
    ),
    ([("actorId", "u-1")], FieldEquals(fields.ACTOR_ID, "u-1")),
    (
        [("traceId", "4BF92F3577B34DA6A3CE929D0E0E4736")],
        FieldEquals(fields.TRACE_ID, UUID("4bf92f3577b34da6a3ce929d0e0e4736")),
    ),
    (
        [("spanId", "00f067aa0ba902b7")],
        FieldEquals(fields.SPAN_ID, b"\x00\xf0g\xaa\x0b\xa9\x02\xb7"),
    ),
    ([("ipAddress", "10.1.2.3/8")], IpIn(ipaddress.ip_network("10.0.0.0/8"))),
    ([("ipAddress", "::1")], IpIn(ipaddress.ip_network("::1/128"))),
    ([("ipAddress", "::ffff:10.1.0.0/112")], IpIn(ipaddress.ip_network("10.1.0.0/16"))),
    (
        [("ipAddress", "10.0.0.1"), ("ipAddress", "::1")],
        Or((IpIn(ipaddress.ip_network("10.0.0.1/32")), IpIn(ipaddress.ip_network("::1/128")))),
    ),
    (
        [("correlationId", "x" * 40)],
        FieldEquals(fields.CORRELATION_ID, stored_correlation("x" * 40)),
    ),
    ([("attr.http.method", "GET")], AttrEquals("http.method", "GET")),
    ([("attr.a", "")], AttrEquals("a", "")),
    ([("resource.host.name", "h")], ResourceEquals("host.name", "h")),
    (
        [("sourceModule", "shop"), ("action", "pay")],
        And((FieldEquals(fields.ACTION, "pay"), FieldEquals(fields.SOURCE_MODULE, "shop"))),
    ),
]


@pytest.mark.parametrize(("pairs", "where"), FILTERS)
def test_parameters_become_filters(pairs, where):
    assert parse_parameters(*pairs).where == where


def test_kinds_are_kept_apart_because_rights_depend_on_them():
    search = parse_parameters(("kind", "AUDIT"), ("kind", "span"))

    assert search.kinds == {Kind.AUDIT, Kind.SPAN}
    assert search.where == EVERYTHING


BAD = [
    ([("colour", "red")], "colour"),
    ([("sourcemodul", "x")], "sourcemodul"),
    ([("q", "(x")], "q"),
    ([("offset", "10")], "offset"),
    ([("level", "LOUD")], "level"),
    ([("level", "")], "level"),
    ([("minLevel", "WARN"), ("minLevel", "INFO")], "minLevel"),
    ([("kind", "metric")], "kind"),
    ([("traceId", "0" * 32)], "traceId"),
    ([("traceId", "x")], "traceId"),
    ([("traceId", "١" * 32)], "traceId"),
    ([("spanId", "00f067aa0ba902b")], "spanId"),
    ([("ipAddress", "300.1.1.1")], "ipAddress"),
    ([("ipAddress", "10.0.0.0/33")], "ipAddress"),
    ([("ipAddress", "fe80::1%eth0")], "ipAddress"),
    ([("ipAddress", "localhost")], "ipAddress"),
    ([("actorId", "")], "actorId"),
    ([("actorId", "a\0b")], "actorId"),
    ([("actorId", "\ud800")], "actorId"),
    ([("actorId", "a" * 2049)], "actorId"),
    ([("attr.", "x")], "attr."),
    ([("attr.x", "a\0")], "attr.x"),
    ([("resource.", "x")], "resource."),
    ([("limit", "0")], "limit"),
    ([("limit", "1001")], "limit"),
    ([("limit", "1e3")], "limit"),
    ([("limit", "-1")], "limit"),
    ([("limit", "١٠")], "limit"),
    ([("limit", "9" * 5000)], "limit"),
    ([("limit", "5"), ("limit", "6")], "limit"),
    ([("order", "up")], "order"),
    ([("start", "yesterday")], "start"),
    ([("start", "0.5")], "start"),
    ([("start", "1790000000")], "start"),
    ([("start", "2026-02-30T00:00:00Z")], "start"),
    ([("start", "2026-01-01T25:00:00Z")], "start"),
    ([("start", "2026-01-01T00:00:00")], "start"),
    ([("start", "2026-01-01")], "start"),
    ([("start", "-1y")], "start"),
    ([("end", "--1h")], "end"),
    ([("end", "-1h"), ("start", "-30m")], "start"),
    ([("format", "csv")], "format"),
    ([("level", "INFO")] * 201, "level"),
]


@pytest.mark.parametrize(("pairs", "where"), BAD)
def test_bad_input_is_refused_by_the_name_of_its_parameter(pairs, where):
    with pytest.raises(BadInput) as refused:
        parse_parameters(*pairs)

    assert refused.value.where == where


def test_exports_have_no_pages():
    for name in ("limit", "cursor"):
        with pytest.raises(BadInput):
            parse_parameters((name, "1"), shape=EXPORT)


def test_a_misspelled_parameter_gets_a_suggestion():
    with pytest.raises(BadInput, match="Did you mean sourceModule"):
        parse_parameters(("sourceModul", "x"))


def test_values_are_searched_as_redaction_stored_them():
    search = parse_parameters(
        ("actorId", "jane@example.com"),
        ("attr.user.email", "jane@example.com"),
        stored_as=lambda name, value: f"{name}!{len(value)}",
    )

    assert search.where == And(
        (FieldEquals(fields.ACTOR_ID, "user.id!16"), AttrEquals("user.email", "user.email!16"))
    )


SAME = [("level", "INFO"), ("start", "-1h")]


def test_the_digest_stays_the_same_for_the_next_page():
    first = parse_parameters(*SAME)
    later = parse(
        [*SAME[::-1], ("limit", "7"), ("cursor", "x")],
        SEARCH,
        now_ns=NOW_NS + 10**12,
        stored_as=lambda _, value: value,
    )

    assert first.digest == later.digest


@pytest.mark.parametrize(
    "other",
    [
        [("level", "INFO")],
        [("level", "INFO"), ("start", "-2h")],
        [("level", "INFO"), ("start", "-1h"), ("end", "now")],
        [("level", "WARN"), ("start", "-1h")],
        [("level", "INFO"), ("start", "-1h"), ("order", "asc")],
        [("level", "INFO"), ("start", "-1h"), ("kind", "log")],
    ],
)
def test_the_digest_differs_between_searches(other):
    assert parse_parameters(*SAME).digest != parse_parameters(*other).digest


def test_the_digest_covers_the_path():
    assert (
        parse_parameters(shape=TRACE, within=Text("a")).digest
        != parse_parameters(shape=TRACE, within=Text("b")).digest
    )
