"""The filters of queries, and the positions of syntax errors."""

import ipaddress
import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.levels import Level
from query.errors import BadQuery
from query.language.parser import MAX_DEPTH, MAX_TERMS, parse_query
from query.language.paths import EXCEPTION_PATHS, record_paths, stream_paths
from query.language.terms import Context
from storage.filtering.filters import (
    EVERYTHING,
    And,
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    Comparison,
    FieldCompare,
    FieldEquals,
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
)
from storage.record import fields
from storage.record.correlation import stored_correlation
from storage.record.fields import Kind

NOW_NS = 1_790_000_000_000_000_000
HOUR_NS = 3600 * 10**9
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def stored_as(name, value):
    return f"hmac:{name}" if "@" in value else value


def parsed(text):
    return parse_query(text, Context(NOW_NS, stored_as))


def word(text):
    return Text(text, ignores_case=True)


def anywhere(of):
    """The same test on the record, on its resource, and in maps, lists and the body."""
    test, text, *flags = {
        AttrEquals: lambda: (ValueTest.EQUALS, of.value),
        AttrCompare: lambda: (ValueTest(of.comparison.value), of.number),
        AttrPrefix: lambda: (ValueTest.PREFIX, of.prefix),
        AttrRegex: lambda: (ValueTest.REGEX, of.pattern, of.ignores_case),
        AttrPresent: lambda: (ValueTest.PRESENT, ""),
    }[type(of)]()
    is_equal = isinstance(of, AttrEquals)
    on_resource = ResourceEquals(of.name, of.value) if is_equal else OnResource(of)
    found = [of, on_resource, ValueAt(record_paths(of.name), test, text, *flags, is_beyond=True)]
    if "." in of.name or of.name == "scope":
        found.append(OnResource(ValueAt(stream_paths(of.name), test, text, *flags, is_beyond=True)))
    return Or(tuple(found))


A, B, C = word("a"), word("b"), word("c")

QUERIES = [
    ("", EVERYTHING),
    ("  ", EVERYTHING),
    ("*", EVERYTHING),
    ("timeout", word("timeout")),
    ("time*", word("time")),
    ("404", Text("404")),  # no letters: comparing them exactly is cheaper
    ('"card refused"', word("card refused")),
    (r'"say \"hi\" \\o"', word('say "hi" \\o')),
    ("a b", And((A, B))),
    ("a AND b", And((A, B))),
    ("a OR b", Or((A, B))),
    ("a b OR c", Or((And((A, B)), C))),
    ("a (b OR c)", And((A, Or((B, C))))),
    ("-a", Not(A)),
    ("NOT a", Not(A)),
    ("--a", A),
    ("-(a OR b)", Not(Or((A, B)))),
    ('-"a b"', Not(word("a b"))),
    ("a -b c", And((A, Not(B), C))),
    ("or and not", And((word("or"), word("and"), word("not")))),
    ('"OR"', word("OR")),
    ("ORDER", word("ORDER")),
    ("- a", And((Text("-"), A))),
    ("a-b", word("a-b")),
    # fields
    ("level:error", FieldEquals(fields.LEVEL, Level.ERROR)),
    ("level:>=WARN", FieldCompare(fields.LEVEL, Comparison.GREATER_OR_EQUAL, Level.WARN)),
    ("level:<WARN", FieldCompare(fields.LEVEL, Comparison.LESS, Level.WARN)),
    ("kind:span", FieldEquals(fields.KIND, Kind.SPAN)),
    ("-sourceModule:shop", Not(FieldEquals(fields.SOURCE_MODULE, "shop"))),
    ("SOURCEMODULE:shop", FieldEquals(fields.SOURCE_MODULE, "shop")),
    ("action:payment.*", FieldPrefix(fields.ACTION, "payment.")),
    ('action:"GET /a b"', FieldEquals(fields.ACTION, "GET /a b")),
    ('action:"a*"', FieldEquals(fields.ACTION, "a*")),
    ("action:/^a|b$/", Regex("^a|b$", field=fields.ACTION)),
    ("actorId:*", FieldPresent(fields.ACTOR_ID)),
    ("actorId:jane@example.com", FieldEquals(fields.ACTOR_ID, "hmac:user.id")),
    (
        f"correlationId:{'x' * 40}",
        FieldEquals(fields.CORRELATION_ID, stored_correlation("x" * 40)),
    ),
    (f"traceId:{TRACE.upper()}", FieldEquals(fields.TRACE_ID, UUID(TRACE))),
    ("spanId:00f067aa0ba902b7", FieldEquals(fields.SPAN_ID, bytes.fromhex("00f067aa0ba902b7"))),
    ("ipAddress:10.0.0.0/8", IpIn(ipaddress.ip_network("10.0.0.0/8"))),
    (
        "durationNs:>250ms",
        FieldCompare(fields.DURATION_NS, Comparison.GREATER, 250_000_000),
    ),
    ("durationNs:<=1.5s", FieldCompare(fields.DURATION_NS, Comparison.LESS_OR_EQUAL, 15 * 10**8)),
    ("durationNs:7", FieldEquals(fields.DURATION_NS, 7)),
    ("message:refused", word("refused")),
    ('message:"card refused"', word("card refused")),
    ("message:order*", FieldPrefix(fields.MESSAGE, "order")),
    ("createdAt:>=-1h", TimeRange(NOW_NS - HOUR_NS, None)),
    ("createdAt:<2026-11-23T09:00:00Z", TimeRange(None, 1_795_424_400 * 10**9)),
    # attributes
    ("http.route:/a/{id}", anywhere(AttrEquals("http.route", "/a/{id}"))),
    ('http.route:"/orders/{id}"', anywhere(AttrEquals("http.route", "/orders/{id}"))),
    ("user:bob", FieldEquals(fields.ACTOR_ID, "bob")),
    ("attr.level:x", AttrEquals("level", "x")),
    ("user.email:a@b.c", anywhere(AttrEquals("user.email", "hmac:user.email"))),
    (
        "http.status:>=500",
        anywhere(AttrCompare("http.status", Comparison.GREATER_OR_EQUAL, "500")),
    ),
    ("n:<-1.5e3", anywhere(AttrCompare("n", Comparison.LESS, "-1.5e3"))),
    ("http.route:/api*", anywhere(AttrPrefix("http.route", "/api"))),
    ("user.agent:/fire.x/i", anywhere(AttrRegex("user.agent", "fire.x", ignores_case=True))),
    ("order.id:*", anywhere(AttrPresent("order.id"))),
    ("resource.host.name:web-1", ResourceEquals("host.name", "web-1")),
    ("resource.host.name:web*", OnResource(AttrPrefix("host.name", "web"))),
    (
        '*:"a b"',
        Or((word("a b"), ValueAt(((),), ValueTest.CONTAINS, "a b", is_deep=True))),
    ),
    (
        "exception:NullPointer",
        ValueAt(EXCEPTION_PATHS, ValueTest.CONTAINS, "NullPointer", is_deep=True),
    ),
    # patterns, and what only looks like one
    (r"/order o-\d+ failed/", Regex(r"order o-\d+ failed")),
    ("/a/i", Regex("a", ignores_case=True)),
    ("/api/orders", word("/api/orders")),
    ("http://x.y/z", word("http://x.y/z")),
    ("12:30:45", Text("12:30:45")),
]


@pytest.mark.parametrize(("text", "condition"), QUERIES, ids=lambda item: str(item)[:40])
def test_a_query_is_parsed_as_its_filter(text, condition):
    assert parsed(text) == condition


FAULTS = [
    ("a (b", 2),
    ("a ) b", 2),
    ("()", 1),
    ("a OR", 4),
    ("OR a", 0),
    ("a AND OR b", 6),
    ("-", None),
    ('a "b', 2),
    ('""', 0),
    ("level:", 6),
    ("level: x", 6),
    ("level:loud", 6),
    ("a level:>loud", 9),
    ("traceId:xyz", 8),
    ("level:w*", 6),
    ("level:/a/", 6),
    ("action:>a", 8),
    ("kind:log kind:dog", 14),
    ("x trace_id:shop", 11),
    ("http.status:>high", 13),
    ("a.b:x*y*", 5),
    ("action:a*b", 8),
    ("timeout a*b", 9),
    ("*b", 0),
    ("level:ERROR minLevel:loud", 21),
    ("durationNs:>soon", 12),
    ("createdAt:>soon", 11),
    ("ipAddress:300.1.1.1", 10),
    ("/(a/", 1),
    (r"/(a)\1/", 1),
    ("/(?=a)/", 1),
    ("/ab(?P<x>c)/", 3),
    ("/" + "a{1,255}" * 20 + "/", 1),
    ("/" + "a" * 300 + "/", 257),
    ("a" + "\0", 0),
    ("é OR (☃ ", 5),  # characters are counted, not bytes
]


@pytest.mark.parametrize(("text", "position"), FAULTS, ids=lambda item: str(item)[:40])
def test_a_syntax_error_has_its_position(text, position):
    if position is None:
        assert parsed(text) == Text("-")
        return
    with pytest.raises(BadQuery) as refused:
        parsed(text)

    assert refused.value.position == position
    assert refused.value.where == "q"
    assert str(refused.value)


def test_terms_and_parentheses_are_bounded():
    assert parsed(" OR ".join(["a"] * MAX_TERMS))
    assert parsed("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH)

    for text in (
        " OR ".join(["a"] * (MAX_TERMS + 1)),
        "(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1),
    ):
        with pytest.raises(BadQuery):
            parsed(text)


@given(st.text(alphabet='ab"()/-:*<>=\\ .ORNT\n\0\ud800é', max_size=60) | st.text(max_size=60))
def test_any_text_is_a_query_or_has_a_syntax_error_within_it(text):
    begin = time.perf_counter()
    try:
        parsed(text)
    except BadQuery as refused:
        assert 0 <= refused.position <= len(text) + 1  # noqa: PT017 - either way is good
    assert time.perf_counter() - begin < 1
