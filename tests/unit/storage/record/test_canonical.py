"""JSON as jsonb prints it. The proof against a server is in tests/integration/storage."""

import math

import pytest

from storage.record.canonical import canonical, member, object_of, order_of, text_of
from storage.record.record import Attribute


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (2**64 - 1, "18446744073709551615"),
        (1.0, "1.0"),
        (-0.0, "0.0"),
        (1e22, "10000000000000000000000.0"),  # no exponent, still a double
        (5e-7, "0.0000005"),
        (math.nan, '"NaN"'),
        (math.inf, '"Infinity"'),
        (-math.inf, '"-Infinity"'),
        ("", '""'),
        ('a"b\\c/', '"a\\"b\\\\c/"'),  # the solidus is not escaped
        ("\b\f\n\r\t\x01\x1f\x7f", '"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f"'),
        ("é\u2028\uffff\U0001f600", '"é\u2028\uffff\U0001f600"'),
        (b"hi", '"aGk="'),
        ([], "[]"),
        ([1, [None]], "[1, [null]]"),
        ({}, "{}"),
        ({"bb": 1, "a": 2, "é": 3, "aa": 4}, '{"a": 2, "aa": 4, "bb": 1, "é": 3}'),
    ],
)
def test_values_are_written_as_jsonb_prints_them(value, text):
    assert canonical(value).decode() == text


def test_of_two_members_with_one_key_the_last_wins():
    members = [
        Attribute(key, value, member(key, value), order_of(key), ())
        for key, value in (("b", 1), ("a", 2), ("b", 3))
    ]

    assert object_of(members) == b'{"a": 2, "b": 3}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("as it is", "as it is"),
        (True, "true"),
        (-42, "-42"),
        (637.704, "637.704"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (b"hi", "aGk="),
        ([1, "x"], '[1, "x"]'),
        ([math.nan], '["NaN"]'),
    ],
)
def test_values_read_as_the_specification_says(value, text):
    assert text_of(value) == text
