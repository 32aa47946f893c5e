"""Messages by their pattern."""

import pytest

from query.analysis.patterns import grouped, pattern_of

SHAPES = [
    ("order 17 failed", "order <*> failed"),
    ("order o-17 failed", "order <*> failed"),
    ("user 'jane' asked for \"x y\"", "user <*> asked for <*>"),
    ("took 2.5ms at 10.0.0.1:80", "took <*> at <*>"),
    ("ids 1, 2, 3 gone", "ids <*> gone"),
    ("nothing here differs", "nothing here differs"),
    ("4bf92f3577b34da6a3ce929d0e0e4736", "<*>"),
    ("", ""),
]


@pytest.mark.parametrize(("message", "pattern"), SHAPES)
def test_what_differs_becomes_a_hole(message, pattern):
    assert pattern_of(message) == pattern


def test_shapes_come_with_their_count_and_first_message():
    found = grouped(["order 1 failed", "ready", "order 2 failed"])

    assert [(item.pattern, item.count, item.first) for item in found] == [
        ("order <*> failed", 2, 0),
        ("ready", 1, 1),
    ]
