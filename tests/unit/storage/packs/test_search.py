"""Filters over packs: no block is missed, and the same rows match as in a second evaluator."""

import json
import math
import random
from decimal import Decimal
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.levels import Level
from storage.filtering.filters import (
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
    Or,
    Regex,
    ResourceEquals,
    Text,
    TimeRange,
)
from storage.packs.blocks import Block
from storage.packs.errors import UnsupportedCondition
from storage.packs.search.patterns import clauses, is_free
from storage.record import fields
from storage.record.fields import Kind
from tests.unit.storage.packs.packing import (
    BASE_NS,
    leaf_of_both,
    make_tuple,
    odd_rows,
    pack_of,
    shop_rows,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A pack of several blocks, odd rows among them, and its records."""
    rows = shop_rows(900, seed=3) + odd_rows()
    pack, _ = pack_of(tmp_path_factory.mktemp("shop"), rows, leaf=leaf_of_both, block_rows=256)
    records = [
        (number, row, record)
        for number, zone in enumerate(pack.blocks)
        for row, record in enumerate(pack.rows(number, range(int(zone["rows"]))))
    ]
    return Shop(pack, records)


class Shop(tuple):
    """With a short repr, for Hypothesis."""

    __slots__ = ()

    def __new__(cls, pack, records):
        return super().__new__(cls, (pack, records))

    def __repr__(self):
        return "Shop()"


def attribute(record, name):
    """(has it, its value)."""
    document = json.loads(record["metadata"], parse_float=Decimal)
    found = document.get("attributes") if isinstance(document, dict) else None
    if not isinstance(found, dict) or name not in found:
        return False, None
    return True, found[name]


def simple_lower(text):
    """lower() under C.UTF-8, letter by letter."""
    return "".join("i" if c == "\u0130" else c.lower() for c in text)


def text_of(value):
    from storage.packs.search.attributes import json_text, printed

    return json_text(printed(value))


def selects(condition, record) -> bool:
    """An independent evaluator."""
    import re

    match condition:
        case And(of):
            return all(selects(item, record) for item in of)
        case Or(of):
            return any(selects(item, record) for item in of)
        case Not(of):
            return not selects(of, record)
        case FieldEquals(field, value):
            return same(record[field.column], value)
        case FieldIn(field, values):
            return any(same(record[field.column], value) for value in values)
        case FieldCompare(field, comparison, value):
            mine = record[field.column]
            if mine is None:
                return False
            if isinstance(value, Level):
                mine = Level[mine]
            elif isinstance(mine, str):
                mine, value = mine.encode(), value.encode()
            return compared(comparison, mine, value)
        case FieldPrefix(field, prefix):
            value = record[field.column]
            return value is not None and value.startswith(prefix)
        case FieldPresent(field):
            return record[field.column] is not None
        case Text(text, ignores_case):
            message = record["message"]
            if ignores_case:
                return simple_lower(text) in simple_lower(message)
            return text in message
        case Regex(pattern, ignores_case, field):
            value = record[field.column]
            flags = re.DOTALL | (re.IGNORECASE if ignores_case else 0)
            return value is not None and re.search(pattern, value, flags) is not None
        case AttrEquals(name, value):
            _, mine = attribute(record, name)
            if isinstance(mine, bool):
                return value == str(mine).lower()
            if isinstance(mine, int | Decimal):
                try:
                    return Decimal(value) == mine
                except ArithmeticError:
                    return False
            return isinstance(mine, str) and mine == value
        case AttrCompare(name, comparison, number):
            _, mine = attribute(record, name)
            items = mine if isinstance(mine, list) else [mine]
            try:
                values = [float(item) for item in items if not isinstance(item, bool | dict)]
            except (TypeError, ValueError):
                return False
            if len(values) < len(items) or not all(map(math.isfinite, values)):
                return False
            return any(compared(comparison, Decimal(f"{v:.15g}"), Decimal(number)) for v in values)
        case AttrPrefix(name, prefix):
            text = text_of(attribute(record, name)[1])
            return text is not None and text.startswith(prefix)
        case AttrRegex(name, pattern, ignores_case):
            text = text_of(attribute(record, name)[1])
            flags = re.DOTALL | (re.IGNORECASE if ignores_case else 0)
            return text is not None and re.search(pattern, text, flags) is not None
        case AttrPresent(name):
            return attribute(record, name)[0]
        case IpIn(network):
            address = record["ip_address"]
            if address is None:
                return False
            if not hasattr(address, "network"):
                own = ip_network(address)
            else:
                own = address.network
                if network.num_addresses == 1:
                    return False
            return own.version == network.version and own.subnet_of(network)
        case TimeRange(start, end):
            at = moment_ns(record)
            return (start is None or at >= start) and (end is None or at < end)
    raise AssertionError(condition)


def moment_ns(record):
    from storage.record.times import EPOCH

    delta = record["created_at"] - EPOCH
    micros = (delta.days * 86400 + delta.seconds) * 10**6 + delta.microseconds
    return micros * 1000 + record["created_ns"]


def same(mine, value):
    if isinstance(value, Level):
        return mine == value.name
    if isinstance(value, Kind):
        return mine == value.value
    return mine is not None and mine == value


def compared(comparison, one, other):
    return {"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[comparison]


def pick(items):
    """One of them; unlike sampled_from with a short repr."""
    return st.integers(0, len(items) - 1).map(lambda at: items[at])


def leaves(records):
    """Filters with values that occur, nearly occur, and do not."""
    chance = random.Random(5)
    some = [chance.choice(records)[2] for _ in range(30)]
    cut = []
    for record in some:
        message = record["message"]
        start = chance.randrange(len(message) + 1)
        cut.append(message[start : start + chance.randrange(1, 14)] or "x")
    text = pick([*cut, "zzzz", "PLACED by", "CAFE\u0301", "\u03c3", "i", "k", "istanbul", "e", ""])
    attribute_names = pick(
        ["k", "user.id", "order.id", "duration_ms", "client.address", "", "none"]
    )
    values = []
    for record in some:
        for name in ("k", "user.id", "order.id", "duration_ms", "client.address"):
            there, value = attribute(record, name)
            if there and isinstance(value, str | int | Decimal):
                values.append(str(value).lower() if isinstance(value, bool) else str(value))
    value = pick(
        [*values, "1", "1.0", "2.50", "1e0", "true", "x", "7", "100", "NaN", "1" + "0" * 40]
    )
    field_value = pick(
        [
            (field, record[field.column])
            for record in some
            for field in (fields.ID, fields.SOURCE_MODULE, fields.ACTION, fields.ACTOR_ID,
                          fields.CORRELATION_ID, fields.TRACE_ID, fields.SPAN_ID, fields.MESSAGE,
                          fields.DURATION_NS, fields.STREAM_ID, fields.RESOURCE_ID)
            if record[field.column] is not None
        ]
        + [(fields.LEVEL, Level.WARN), (fields.KIND, Kind.SPAN), (fields.ACTOR_ID, "nobody")]
    )  # fmt: skip
    comparison = pick(list(Comparison))
    pattern = pick(
        ["placed", "ord.r [0-9]+", "^GET /cart", "evicted$", "a|b", "took .* ms", "xyz+", "b?Cache"]
    )
    number = pick(["1", "2.5", "0.125", "7", "-5", "1e30"])
    time = (
        st.none()
        | pick([moment_ns(record) for record in some])
        | st.integers(BASE_NS - 10**9, BASE_NS + 5 * 10**9)
    )
    return st.one_of(
        st.builds(Text, text, st.booleans()),
        field_value.map(lambda pair: FieldEquals(*pair)),
        st.lists(field_value, min_size=1, max_size=3).map(
            lambda pairs: FieldIn(pairs[0][0], tuple(v for f, v in pairs if f == pairs[0][0]))
        ),
        st.builds(FieldCompare, st.just(fields.DURATION_NS), comparison, st.integers(-1, 50_000)),
        st.builds(FieldCompare, st.just(fields.LEVEL), comparison, pick(list(Level))),
        st.builds(FieldCompare, st.just(fields.ACTION), comparison, st.just("order.place")),
        st.builds(FieldPrefix, pick([fields.MESSAGE, fields.ACTOR_ID]), text),
        st.builds(FieldPresent, pick([fields.TRACE_ID, fields.DURATION_NS, fields.MESSAGE])),
        st.builds(Regex, pattern, st.booleans()),
        st.builds(Regex, pattern, st.booleans(), st.just(fields.ACTOR_ID)),
        st.builds(AttrEquals, attribute_names, value),
        st.builds(AttrCompare, attribute_names, comparison, number),
        st.builds(AttrPrefix, attribute_names, value.map(lambda v: v[:3])),
        st.builds(AttrRegex, attribute_names, pick(["^u-1", "x|1", "0$"]), st.booleans()),
        st.builds(AttrPresent, attribute_names),
        pick([IpIn(ip_network(n)) for n in ("10.0.1.0/24", "10.0.0.0/8", "10.0.0.7/32", "2001::/16", "::1/128", "0.0.0.0/0")]),
        st.builds(IpIn, pick([ip_network(ip_address(str(r["ip_address"]).split("/")[0])) for r in some if r["ip_address"]])),
        st.builds(TimeRange, time, time),
    )  # fmt: skip


@st.composite
def conditions(draw, shop):
    """Filter trees."""
    tree = st.recursive(
        leaves(shop[1]),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda of: And(tuple(of))),
            st.lists(inner, max_size=3).map(lambda of: Or(tuple(of))),
            st.builds(Not, inner),
        ),
        max_leaves=4,
    )
    return draw(tree)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_filters_select_the_same_rows_as_brute_force(shop, data):
    pack, records = shop
    condition = data.draw(conditions(shop))
    expected = {(block, row) for block, row, record in records if selects(condition, record)}
    candidates = set(pack.candidate_blocks(condition))
    assert {block for block, _ in expected} <= candidates
    found = {(b, row) for b in range(len(pack.blocks)) for row in pack.matches(b, condition)}
    assert found == expected
    assert pack.count(condition) == len(expected)


def test_a_unique_value_is_searched_in_one_block(shop):
    pack, records = shop
    block, _, record = records[400]
    span = record["span_id"]

    assert pack.candidate_blocks(FieldEquals(fields.SPAN_ID, span)) == [block]


def test_unresolved_conditions_are_refused(shop):
    pack, _ = shop
    condition = ResourceEquals("service.name", "x")

    assert len(pack.candidate_blocks(condition)) == len(pack.blocks)
    with pytest.raises(UnsupportedCondition):
        pack.matches(0, condition)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", [("abc",)]),
        ("abc.*def", [("abc",), ("def",)]),
        ("abcd?efg", [("abc",), ("efg",)]),
        ("abc+def", [("abc",), ("def",)]),
        ("abc{0,3}def", [("def",)]),
        ("abc{2}def", [("abc",), ("def",)]),
        ("abc|def", [("abc", "def")]),
        ("abc|de", []),
        ("abc(de|fgh)ijk", [("abc",), ("ijk",)]),
        ("abc(?:def|fgh)?ijk", [("abc",), ("ijk",)]),
        ("(abc|x+|def)", []),
        ("(abc(def|ghi))+", [("abc",), ("def", "ghi")]),
        (r"\yabc", [("abc",)]),
        (r"abc\.def\d+ghi", [("abc.def",), ("ghi",)]),
        ("abc[]x[:alpha:]]def", [("abc",), ("def",)]),
        (r"abc[\]x]def", [("abc",), ("def",)]),
        ("***=abc", []),
        ("ab", []),
        ("", []),
    ],
)
def test_texts_that_every_match_contains(pattern, expected):
    assert list(clauses(pattern)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("a.*b", True), ("[$^]", True), (r"\$\d", True), ("^a", False), ("(a|b$)", False)]
    + [(rf"a\{letter}", False) for letter in "yYAZ"],
)
def test_patterns_that_match_without_what_surrounds_them(pattern, expected):
    assert is_free(pattern) is expected


@pytest.fixture(scope="module", params=[3, 400], ids=["one byte a row", "two bytes a row"])
def templated(request, tmp_path_factory):
    """A pack whose messages have this many templates, some of them none; and its messages."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [f"{one}{other}word" for one in letters for other in letters][: request.param]
    texts = [f"order {n} of {words[n % len(words)]} placed at x{n % 7}" for n in range(4000)]
    for n in range(0, 4000, 97):
        texts[n] = f"first line {n}\nof {words[0]} placed"
    rows = [make_tuple(n, message=text) for n, text in enumerate(texts)]
    pack, _ = pack_of(tmp_path_factory.mktemp("templated"), rows, block_rows=512)
    return pack, texts, words


@pytest.mark.parametrize(
    ("condition", "test"),
    [
        (Text("placed at"), lambda text: "placed at" in text),
        (Text("PLACED", ignores_case=True), lambda text: "placed" in text),
        (Text("at x3"), lambda text: "at x3" in text),
        (Text("line\nof"), lambda text: False),
        (Text("of {word} pl"), lambda text: "of {word} pl" in text),
        (Regex("of {word}.*placed"), lambda text: "{word}" in text),
        (Regex("{word}$"), lambda text: False),
        (Regex("^first|x5$"), lambda text: text.startswith("first") or text.endswith("x5")),
        (Regex("order [0-9]*7 of"), lambda text: "7 of" in text),
        (Not(Text("order")), lambda text: "order" not in text),
        (
            And((Text("{word}"), Not(Regex("x[1-6]")))),
            lambda text: "{word}" in text and (text.endswith("x0") or "\n" in text),
        ),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
def test_templates_decide_which_rows_match(templated, condition, test):
    pack, texts, words = templated

    def put(item):
        match item:
            case And(of):
                return And(tuple(map(put, of)))
            case Not(of):
                return Not(put(of))
            case Text(text, ignores_case):
                return Text(text.replace("{word}", words[1]), ignores_case)
            case Regex(pattern, ignores_case):
                return Regex(pattern.replace("{word}", words[1]), ignores_case)

    wanted = put(condition)
    expected = [n for n, text in enumerate(texts) if test(text.replace(words[1], "{word}"))]
    numbers = [
        int(pack.blocks["first_row"][block]) + row
        for block in range(len(pack.blocks))
        for row in pack.matches(block, wanted)
    ]
    assert numbers == expected
    assert pack.count(wanted) == len(expected)


def test_a_phrase_of_fixed_text_is_counted_without_messages(tmp_path, monkeypatch):
    rows = [make_tuple(n, message=f"order {n} placed by u{n}") for n in range(2000)]
    pack, _ = pack_of(tmp_path, rows, block_rows=256)
    read = []
    before = Block.get
    monkeypatch.setattr(Block, "get", lambda self, name: read.append(name) or before(self, name))

    assert pack.count(Text("placed by")) == 2000
    assert pack.count(Regex("plac.d by")) == 2000
    assert pack.count(Not(Text("placed"))) == 0
    assert pack.matches(0, Text("placed by")) == list(range(256))
    assert pack.count(And((Text("placed"), FieldEquals(fields.ACTION, "order.place")))) == 2000
    assert "message" not in read
