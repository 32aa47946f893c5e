"""What was meant is what is searched: aliases, operators, any name, and pasted text."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from config.levels import Level
from query.errors import BadQuery
from query.language.lexer import written_name
from query.language.names import ALIASES, FIELD_NAMES, Names, canonical, nearest
from query.language.parser import parse_query
from query.language.terms import Context
from storage.filtering.filters import (
    AttrCompare,
    AttrEquals,
    Comparison,
    FieldCompare,
    FieldEquals,
    Not,
    Or,
    ResourceEquals,
    Text,
    plain,
)
from storage.record import fields
from tests.unit.query.language.test_parser import anywhere

NOW_NS = 1_790_000_000_000_000_000
VALUES = {
    "id": "0" * 32,
    "kind": "span",
    "level": "WARN",
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "spanId": "00f067aa0ba902b7",
    "parentSpanId": "00f067aa0ba902b7",
    "ipAddress": "10.0.0.1",
    "durationNs": "250ms",
    "createdAt": "2026-11-23T09:00:00Z",
}
"""A value of each field that does not take any text."""


def parsed(text, *known):
    names = Names(frozenset(known))
    return parse_query(text, Context(NOW_NS, lambda _, value: value, names))


def is_other(name):
    """Whether it is the name of an attribute only."""
    special = {"minlevel", "exception", "body", "scope"}
    if name.startswith(("attr.", "resource.", "scope.")):
        return False
    return canonical(name) == name and name not in FIELD_NAMES and name.lower() not in special


def spellings(name):
    """A field's name as people write it."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return {name, name.lower(), name.upper(), snake, snake.replace("_", "-")}


SPELLED = [
    *((name, spelling) for name in FIELD_NAMES for spelling in sorted(spellings(name))),
    *((alias.target, name) for name, alias in ALIASES.items()),
    *((alias.target, name.upper()) for name, alias in ALIASES.items()),
]


@pytest.mark.parametrize(("target", "spelling"), SPELLED)
def test_each_spelling_and_alias_means_its_field(target, spelling):
    value = VALUES.get(target, "x")
    wanted = parsed(f'{target}:"{value}"')

    assert canonical(spelling) == target
    for term in ('{}:"{}"', '"{}":"{}"', '{}="{}"', '{} = "{}"', '{}=="{}"', '{}:="{}"'):
        assert parsed(term.format(spelling, value)) == wanted
    for term in ('{}!="{}"', '{} != "{}"', '{}:!="{}"', '-{}:"{}"'):
        assert parsed(term.format(spelling, value)) == Not(wanted)


@pytest.mark.parametrize("sign", [">=", "<=", ">", "<"])
@pytest.mark.parametrize("name", ["level", "severity", "LogLevel", "log.level", "lvl"])
def test_levels_are_compared_with_any_spelling(name, sign):
    wanted = FieldCompare(fields.LEVEL, Comparison(sign), Level.ERROR)

    for term in (f"{name}:{sign}error", f"{name}{sign}error", f"{name} {sign} ERROR"):
        assert parsed(term) == wanted


@given(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}(\.[a-z_]{1,8}){0,3}", fullmatch=True),
    st.integers(-999, 10**6),
    st.sampled_from(list(Comparison)),
)
def test_attributes_are_compared_with_numbers(name, number, sign):
    assume(is_other(name))
    of = AttrCompare(name, sign, str(number))

    assert parsed(f"{name}:{sign}{number}") == anywhere(of)
    assert parsed(f"{name}{sign}{number}") == anywhere(of)
    assert parsed(f"{name} {sign} {number}", name) == anywhere(of)


ANY_NAME = st.text(min_size=1, max_size=20).filter(
    lambda name: "\0" not in name and name.isprintable()
)


@given(ANY_NAME)
def test_any_name_can_be_written(name):
    assume(is_other(name))
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')

    assert parsed(f'attr."{quoted}":v') == AttrEquals(name, "v")
    assert parsed(f'resource."{quoted}":v') == ResourceEquals(name, "v")
    if not name.startswith(("attr.", "resource.")):
        both = anywhere(AttrEquals(name, "v"))
        assert parsed(f'"{quoted}":v') == both
        assert parsed(f'{written_name(name)}:"v"', name) == both


@pytest.mark.parametrize("name", ["{OriginalFormat}", "$top", "@t", "a[0]"[:1], "x/y", "%cpu"])
def test_names_of_loggers_need_no_quotes(name):
    assert parsed(f'{name}:"v"') == anywhere(AttrEquals(name, "v"))


HEX = st.text("0123456789abcdef", min_size=2, max_size=2)
WORD = st.text(string.ascii_letters, min_size=1, max_size=8)
PORT = st.integers(1, 65535).map(str)
TIME = st.times().map(lambda at: at.strftime("%H:%M:%S"))
CERTAIN = st.one_of(
    st.lists(HEX, min_size=6, max_size=6).map(":".join),
    st.lists(HEX, min_size=6, max_size=6).map(lambda parts: ":".join(parts).upper()),
    st.tuples(st.sampled_from("CDxz"), st.lists(WORD, min_size=1)).map(
        lambda of: of[0] + ":\\" + "\\".join(of[1])
    ),
    TIME,
    TIME.map(lambda at: f"2026-11-23T{at}Z"),
    st.tuples(WORD, WORD).map("::".join),
    st.tuples(WORD, WORD, WORD).map("::".join),
    st.tuples(st.sampled_from(["http", "https", "s3", "amqp+ssl"]), WORD).map("://".join),
    st.ip_addresses(v=4).flatmap(lambda at: PORT.map(lambda port: f"{at}:{port}")),
    st.ip_addresses(v=6).map(lambda at: at.exploded),
)
UNCERTAIN = st.one_of(
    st.tuples(st.sampled_from(["web-1", "localhost", "db.internal", "kafka"]), PORT).map(":".join),
    st.tuples(WORD, st.integers(1, 999)).map(lambda of: f"{of[0]}.go:{of[1]}"),
    st.tuples(WORD, WORD).map(lambda of: f"registry/{of[0]}:{of[1]}"),
)


@given(CERTAIN)
def test_pasted_text_is_searched_as_text(text):
    found = parsed(text)

    assert isinstance(found, Text)
    assert found.text == text


@given(UNCERTAIN)
def test_what_may_be_a_term_is_searched_as_both(text):
    name = text.partition(":")[0]
    assume(is_other(name))
    found = parsed(text)

    assert isinstance(found, Or)
    assert text in [item.text for item in found.of if isinstance(item, Text)]
    assert name in [item.name for item in found.of if isinstance(item, AttrEquals)]


@given(CERTAIN | UNCERTAIN)
def test_a_known_attribute_is_no_text(text):
    name, _, value = text.partition(":")
    assume(is_other(name) and not name.isdigit() and not value.startswith((":", "//")))

    assert parsed(text, name) == anywhere(AttrEquals(name, value))


@pytest.mark.parametrize(
    "text",
    ["a<b", "List<String>", "x->y", "order => shipped", "1 = 2", "base64==", "Error: refused"],
)
def test_signs_in_text_are_text(text):
    assert "Attr" not in str(plain(parsed(text)))


@given(WORD, WORD)
def test_an_assignment_is_an_attribute_or_text(name, value):
    assume(is_other(name) and name not in {"OR", "AND"})
    assume(name != "NOT")
    found = parsed(f"{name}={value}")

    assert Text(f"{name}={value}", ignores_case=True) in found.of
    assert AttrEquals(name, value) in found.of
    assert parsed(f"{name}={value}", name) == anywhere(AttrEquals(name, value))


def test_an_alias_that_is_an_attribute_means_both():
    assert parsed("user:bob") == FieldEquals(fields.ACTOR_ID, "bob")
    assert parsed("user:bob", "user") == Or(
        (FieldEquals(fields.ACTOR_ID, "bob"), *anywhere(AttrEquals("user", "bob")).of)
    )
    # a value that only the attribute can have
    assert parsed("severity:5", "severity") == anywhere(AttrEquals("severity", "5"))


def test_a_backslash_needs_no_doubling():
    assert parsed(r'"C:\Temp\new"') == Text(r"C:\Temp\new", ignores_case=True)
    assert parsed(r'path:"C:\Temp"') == parsed(r"path:C:\Temp", "path")


@pytest.mark.parametrize("name", [*FIELD_NAMES, "order.id", "http.route"])
def test_a_name_with_a_mistake_is_guessed(name):
    for at in range(1, len(name)):
        wrong = name[:at] + name[at + 1 :]
        if canonical(wrong) == wrong and len(wrong) > 3:
            assert nearest(wrong, ["order.id", "http.route"]) is not None, wrong


@pytest.mark.parametrize("text", ["level:", "level: x", "attr.x:", "-level:"])
def test_a_refusal_says_how_to_write_it(text):
    with pytest.raises(BadQuery, match=r"Write .*:value, or"):
        parsed(text)
