"""Scalars, patterns and numbers at the limits of what columns and PostgreSQL accept."""

from decimal import Decimal

import pytest

from storage.packs.index.tokens import number_text
from storage.packs.rows.ends import key_end, value_end
from storage.packs.scalars import (
    BOOLEAN,
    DECIMAL,
    DELAY,
    DOUBLE,
    INTEGER,
    STRING,
    typed,
)
from storage.packs.search.patterns import searcher
from storage.packs.search.texts import double


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (STRING, b'"a"', b"a"),
        (STRING, b"1", None),
        (STRING, b'"a\\nb"', b"a\nb"),
        (STRING, b'"a\\/b"', None),
        (BOOLEAN, b"true", 1),
        (BOOLEAN, b"false", 0),
        (BOOLEAN, b"null", None),
        (INTEGER, b"-9223372036854775799", -9223372036854775799),
        (INTEGER, b"9223372036854775800", None),
        (INTEGER, b"123456789012345678901", None),
        (INTEGER, b"01", None),
        (INTEGER, b"-", None),
        (INTEGER, b"1.0", None),
        (DOUBLE, b"1.5", 1.5),
        (DOUBLE, b"1.50", None),
        (DOUBLE, b"1.5x", None),
        (DOUBLE, b'"1.5"', None),
        (DECIMAL, b"1.5", 1500),
        (DECIMAL, b"0.0", 0),
        (DECIMAL, b"-0.0", None),
        (DECIMAL, b"1.2.3", None),
        (DECIMAL, b"1.5x", None),
        (DECIMAL, b"01.5", None),
        (DECIMAL, b".15", None),
        (DECIMAL, b"1.2345", None),
        (DECIMAL, b"1.50", None),
        (DECIMAL, b"15", None),
        (DECIMAL, b"0.001", 1),
        (DECIMAL, b"12345678901234567.5", None),
        (DELAY, b"1005", 5),
        (DELAY, b"x", None),
    ],
)
def test_scalars_are_stored_only_if_they_are_canonical(kind, raw, expected):
    assert typed(kind, raw, 3, 1000) == expected


def test_a_delay_beyond_64_bits_is_not_stored():
    assert typed(DELAY, b"9223372036854775807", 0, -5) is None
    assert typed(DELAY, b"5", 0, None) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'"k": 1', 3),
        (b"", -1),
        (b"k", -1),
        (b'"k":1', -1),
        (b'"k\\"": 1', -1),
        (b'"k', -1),
    ],
)
def test_ends_of_keys(text, expected):
    assert key_end(text, 0) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", -1),
        (b"12", -1),
        (b"12,", 2),
        (b'"a', -1),
        (b'"a"', 3),
        (b'"\\""', 4),
        (b'{"a": "}"}', 10),
        (b'{"a": "}', -1),
        (b"[[1]", -1),
        (b'"' + b"a" * 400 + b'"', 402),
        (b'"' + b"a" * 400, -1),
        (b'"b"' + b"a" * 400, 3),
        (b'"' + b"\\\\" * 200 + b'"', 402),
        (b'"' + b"a" * 100 + b'\\"' + b"a" * 300 + b'"', 404),
    ],
)
def test_ends_of_values(text, expected):
    assert value_end(text, 0, b"\\" in text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1e2", "100"), ("5.0", "5"), ("5.5", None), ("x", None), ("NaN", None), ("-0", "0"),
     ("1e500", None), ("0e999", None)],
)  # fmt: skip
def test_digits_of_a_number(text, expected):
    assert number_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", "1.5"),
        (" +.5 ", "0.5"),
        ("0x10", "16"),
        ("0x.8p1", "1"),
        ("0e-999", "0"),
        ("-0x0p5", "0"),
        ("1e400", None),
        ("1e-400", None),
        ("0x1p9999", None),
        ("0x1p-9999", None),
        ("1_0", None),
        ("NaN", None),
        ("", None),
    ],
)
def test_numbers_are_read_as_jsonpath_does(text, expected):
    found = double(text)

    assert found == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("pattern", "ignores_case", "text", "expected"),
    [
        ("k", True, "\u212a", False),
        ("k", True, "K", True),
        ("\u0130", True, "i", True),
        ("\u0130", False, "i", False),
        (r"\u0041", False, "A", True),
        (r"\w", False, "\u00e9", True),
        (r"\W", False, "\u00e9", False),
        (r"[\w]", False, "\u00e9", True),
        (r"\s", False, "\u00a0\v", True),
        (r"\yab\y", False, "x ab.", True),
        (r"a\.b", False, "a.b", True),
        (r"a\.b", False, "axb", False),
        ("[a-c]x", True, "Bx", True),
        ("[^a-c]", True, "B", False),
        ("[a-]", False, "-", True),
        (r"[\]\d]", False, "]", True),
        (r"[\d-x]", False, "-", True),
        (r"[a-\u0063]", False, "b", True),
        ("[[:upper:]]", True, "a", True),
        ("[[:upper:]]", False, "a", False),
        ("[[:digit:]]", False, "7", True),
        ("a.b$", False, "a\nb", True),
        ("x{2}", True, "xX", True),
        ("\u00df", True, "\u00df", True),
    ],
)
def test_patterns_match_as_in_postgresql(pattern, ignores_case, text, expected):
    assert searcher(pattern, ignores_case)(text.encode()) == expected
