"""Message patterns."""

import pytest

from query.analysis.patterns import grouped, pattern_of

SHAPES = [
    ("order 17 failed", "order <*> failed"),
    ("order o-17 failed", "order <*> failed"),
    ("user 'jane' searched for \"x y\"", "user <*> searched for <*>"),
    ("took 2.5ms at 10.0.0.1:80", "took <*> at <*>"),
    ("ids 1, 2, 3 gone", "ids <*> gone"),
    ("nothing here differs", "nothing here differs"),
    ("4bf92f3577b34da6a3ce929d0e0e4736", "<*>"),
    ("", ""),
]


@pytest.mark.parametrize(("message", "pattern"), SHAPES)
def test_variable_parts_become_placeholders(message, pattern):
    assert pattern_of(message) == pattern


def test_patterns_have_a_count_and_a_first_message():
    found = grouped(["order 1 failed", "ready", "order 2 failed"])

    assert [(item.pattern, item.count, item.first) for item in found] == [
        ("order <*> failed", 2, 0),
        ("ready", 1, 1),
    ]
