"""Filters as SQL: a table of conditions, and the shape of a whole statement."""

import ipaddress
from datetime import UTC, datetime
from uuid import UUID

import pytest

from config.levels import Level
from query.planning.compile import Key, LeafFilter, Order, compile_wave
from query.planning.index_use import is_rare
from storage.filtering import filters
from storage.filtering.conditions import Arguments, compile_streams, condition_of
from storage.filtering.filters import (
    EVERYTHING,
    NOTHING,
    And,
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    FieldPresent,
    IpIn,
    Not,
    OnResource,
    Or,
    Regex,
    ResourceEquals,
    Text,
    TimeRange,
    ValueAt,
    ValueTest,
    plain,
)
from storage.filtering.prune import Leaf, narrow
from storage.record import fields
from storage.record.fields import Kind

TRACE = UUID("4bf92f3577b34da6a3ce929d0e0e4736")
AT = datetime(1970, 1, 1, 0, 0, 0, 5, tzinfo=UTC)

CONDITIONS = [
    (
        ValueAt((("body", "a b"), ("otel",)), ValueTest.EQUALS, "5"),
        "metadata @@ $1::jsonpath",
        (
            " || ".join(
                f"($.{path} == {value})"
                for path in ('"body"."a b"', '"otel"')
                for value in ('"5"', 5)
            ),
        ),
    ),
    (EVERYTHING, "TRUE", ()),
    (NOTHING, "FALSE", ()),
    (FieldEquals(fields.ACTOR_ID, "u'1"), "actor_id = $1::text", ("u'1",)),
    (FieldEquals(fields.LEVEL, Level.WARN), "level = $1::log_level", ("WARN",)),
    (FieldEquals(fields.TRACE_ID, TRACE), "trace_id = $1::uuid", (TRACE,)),
    (FieldEquals(fields.SPAN_ID, b"12345678"), "span_id = $1::bytea", (b"12345678",)),
    (
        FieldIn(fields.KIND, (Kind.LOG, Kind.SPAN)),
        'kind = ANY($1::"char"[])',
        ((b"l", b"s"),),
    ),
    (
        FieldIn(fields.LEVEL, (Level.WARN, Level.ERROR)),
        "level = ANY($1::log_level[])",
        (("WARN", "ERROR"),),
    ),
    (FieldIn(fields.STREAM_ID, (1, -2)), "stream_id = ANY($1::bigint[])", ((1, -2),)),
    (
        FieldCompare(fields.DURATION_NS, Comparison.GREATER, 10**9),
        "duration_ns > $1::bigint",
        (10**9,),
    ),
    (
        FieldCompare(fields.LEVEL, Comparison.GREATER_OR_EQUAL, Level.ERROR),
        "level >= $1::log_level",
        ("ERROR",),
    ),
    (FieldPrefix(fields.ACTION, "a%_\\"), "action LIKE $1::text", ("a\\%\\_\\\\%",)),
    (Text("50% off"), "strpos(message, $1::text) > 0", ("50% off",)),
    (Text("x", ignores_case=True), "message ILIKE $1::text", ("%x%",)),
    (Text("it is so", ignores_case=True), "message ILIKE $1::text", ("%it is so%",)),
    (
        Text("id=0_17%ab", ignores_case=True),
        "CASE WHEN strpos(message, $2::text) > 0 THEN message ILIKE $1::text ELSE FALSE END",
        (r"%id=0\_17\%ab%", "=0_17%"),
    ),
    (Regex("a+b"), "message ~ $1::text", ("a+b",)),
    (Regex("a+b", ignores_case=True), "message ~* $1::text", ("a+b",)),
    (Regex("a", field=fields.ACTION), "action ~ $1::text", ("a",)),
    (FieldPresent(fields.ACTOR_ID), "actor_id IS NOT NULL", ()),
    (FieldPresent(fields.ACTION), "TRUE", ()),
    (
        AttrCompare('na"me', Comparison.GREATER_OR_EQUAL, "500"),
        "metadata @@ $1::jsonpath",
        ('$.attributes."na\\"me".double() >= 500',),
    ),
    (
        AttrPrefix("n", "50%"),
        "(metadata -> 'attributes' ->> $1::text) LIKE $2::text",
        ("n", "50\\%%"),
    ),
    (
        AttrRegex("n", "a+", ignores_case=True),
        "(metadata -> 'attributes' ->> $1::text) ~* $2::text",
        ("n", "a+"),
    ),
    (AttrPresent("n"), "jsonb_exists(metadata -> 'attributes', $1::text)", ("n",)),
    (
        AttrEquals('na"me', "v"),
        "metadata @> $1::jsonb",
        ('{"attributes": {"na\\"me": "v"}}',),
    ),
    (
        AttrEquals("n", "-1.5e3"),
        "(metadata @> $1::jsonb OR metadata @> $2::jsonb)",
        ('{"attributes": {"n": "-1.5e3"}}', '{"attributes": {"n": -1.5e3}}'),
    ),
    (
        AttrEquals("n", "true"),
        "(metadata @> $1::jsonb OR metadata @> $2::jsonb)",
        ('{"attributes": {"n": "true"}}', '{"attributes": {"n": true}}'),
    ),
    # looks like a number, but is none in JSON, or none that numeric can hold
    (AttrEquals("n", "007"), "metadata @> $1::jsonb", ('{"attributes": {"n": "007"}}',)),
    (AttrEquals("n", "1e999"), "metadata @> $1::jsonb", ('{"attributes": {"n": "1e999"}}',)),
    (AttrEquals("n", "١"), "metadata @> $1::jsonb", ('{"attributes": {"n": "١"}}',)),
    (
        IpIn(ipaddress.ip_network("10.0.0.0/8")),
        "ip_address <<= $1::inet",
        (ipaddress.ip_network("10.0.0.0/8"),),
    ),
    (
        IpIn(ipaddress.ip_network("10.0.0.1/32")),
        "ip_address = $1::inet",
        (ipaddress.ip_address("10.0.0.1"),),
    ),
    (TimeRange(None, None), "TRUE", ()),
    (TimeRange(5000, None), "(created_at >= $1::timestamptz)", (AT,)),
    (
        TimeRange(None, 5007),
        "((created_at, created_ns) < ($1::timestamptz, $2::smallint))",
        (AT, 7),
    ),
    (
        Not(FieldEquals(fields.ACTOR_ID, "u")),
        "(actor_id = $1::text) IS NOT TRUE",
        ("u",),
    ),
    (
        Or((Text("a"), And((Text("b"), Text("a"))))),
        (
            "(strpos(message, $1::text) > 0 OR"
            " (strpos(message, $2::text) > 0 AND strpos(message, $1::text) > 0))"
        ),
        ("a", "b"),
    ),
]


@pytest.mark.parametrize(("condition", "sql", "values"), CONDITIONS)
def test_conditions_are_written_with_values_as_arguments(condition, sql, values):
    arguments = Arguments()

    assert condition_of(condition, arguments) == sql
    assert arguments.values() == values


def test_every_node_of_the_tree_is_written_narrowed_and_described():
    nodes = {type(condition) for condition, _, _ in CONDITIONS} | {ResourceEquals, OnResource}

    assert nodes == set(filters.Filter.__args__)
    for condition, _, _ in CONDITIONS:
        assert narrow(condition, leaf()) is not None
        assert plain(condition)


def leaf(segment=7) -> Leaf:
    return Leaf(segment, None, None, ((-(2**62), 2**62),))


def test_a_wave_has_one_subselect_per_leaf():
    statement = compile_wave(
        [LeafFilter(leaf(7), Text("a")), LeafFilter(leaf(9), EVERYTHING)],
        order=Order.NEWEST,
        limit=101,
    )

    order = "ORDER BY created_at DESC, created_ns DESC, batch_id DESC, position DESC, id DESC"
    assert statement.text.count(f"{order} LIMIT $1::bigint") == 3
    assert "FROM system_logs_s7 WHERE strpos(message, $2::text) > 0 ORDER" in statement.text
    assert "FROM system_logs_s9 WHERE TRUE ORDER" in statement.text
    assert statement.text.count("UNION ALL") == 1
    assert statement.arguments == (101, "a", ())


def test_a_page_starts_after_the_last_key():
    key = Key(5, 7, 7, 7, TRACE.bytes)

    statement = compile_wave(
        [LeafFilter(leaf(), EVERYTHING)], order=Order.OLDEST, limit=8, after=key
    )

    assert (
        "(created_at, created_ns, batch_id, position, id) > "
        "($2::timestamptz, $3::smallint, $4::bigint, $5::integer, $6::uuid)"
    ) in statement.text
    # equal numbers of different types are different arguments
    assert statement.arguments == (8, AT, 7, 7, 7, TRACE, ())


RARE = [
    (Text("req-17f3"), True),
    (Text("connection pool exhausted"), False),
    (Text("order 17"), False),
    (Text("timeout"), False),
    (And((Text("timeout"), Text("a1"))), True),
    (Or((Text("timeout"), Text("a1"))), False),
    (Or((Text("a1"), Text("b2"))), True),
    (Not(Text("a1")), False),
    (NOTHING, False),
    (FieldEquals(fields.TRACE_ID, TRACE), False),
    (AttrEquals("order.id", "ORD-17"), True),
    (AttrEquals("http.status", "500"), False),
    (AttrEquals("http.method", "OPTIONS"), False),
]


@pytest.mark.parametrize(("condition", "expected"), RARE)
def test_words_with_digits_and_ids_are_rare(condition, expected):
    assert is_rare(condition) is expected


def test_a_scan_tests_times_last_without_their_index():
    key = Key(5, 7, 7, 7, TRACE.bytes)
    where = And((TimeRange(0, None), Text("a")))
    part = LeafFilter(leaf(), where, is_scan=True)
    text = compile_wave([part], order=Order.NEWEST, limit=1, after=key).text

    inner, outer = text.split(" OFFSET 0) AS fenced WHERE ")
    assert inner.endswith("WHERE strpos(message, $8::text) > 0")
    assert outer.startswith("(created_at >= $2::timestamptz) AND (created_at, created_ns")


@pytest.mark.parametrize("is_lookup", [True, False])
def test_lookups_are_fenced_off_from_the_order(is_lookup):
    part = LeafFilter(leaf(), FieldEquals(fields.TRACE_ID, TRACE), is_lookup=is_lookup)
    text = compile_wave([part], order=Order.NEWEST, limit=1).text

    assert ("OFFSET 0) AS fenced" in text) is is_lookup


def test_resources_are_resolved_by_a_separate_table():
    statement = compile_streams(ResourceEquals("host", "5"), most=10)

    assert statement.text == (
        "SELECT stream_id FROM log_streams "
        "WHERE (resource @> $1::jsonb OR resource @> $2::jsonb) LIMIT $3::bigint"
    )
    assert statement.arguments == ('{"host": "5"}', '{"host": 5}', 10)


def test_no_text_of_a_user_gets_into_a_statement():
    evil = "'; DROP TABLE system_logs; --"
    conditions = And(
        (
            *(FieldEquals(fields.ACTOR_ID, evil), FieldIn(fields.ACTION, (evil, "b"))),
            *(FieldPrefix(fields.ACTION, evil), Text(evil), Regex(evil), AttrEquals(evil, evil)),
        )
    )

    statement = compile_wave([LeafFilter(leaf(), conditions)], order=Order.NEWEST, limit=1)

    assert "DROP" not in statement.text
