"""Metadata of a known shape is split as key by key, whatever the shape was learned from."""

import pytest

from storage.packs.rows.block import walker_of
from storage.packs.scalars import BOOLEAN, DECIMAL, DELAY, DOUBLE, INTEGER, LINK, STRING
from storage.packs.schema import Plan, Promoted
from tests.unit.storage.packs.packing import BASE_NS, ODD_METADATA

PLAN = Plan((
    Promoted("attributes", "k", STRING),
    Promoted("attributes", "n", INTEGER),
    Promoted("attributes", "ms", DECIMAL, 3),
    Promoted("attributes", "ratio", DOUBLE),
    Promoted("attributes", "done", BOOLEAN),
    Promoted("attributes", "user.id", LINK, link="actor_id"),
    Promoted("attributes", "code", LINK, link="severity_number"),
    Promoted("otel", "observed_ns", DELAY),
))  # fmt: skip


def row(**members):
    """Metadata with these attributes in jsonb's order, as canonical JSON."""
    ordered = sorted(members.items(), key=lambda item: (len(item[0]), item[0]))
    inside = ", ".join(f'"{key.replace("_", ".")}": {value}' for key, value in ordered)
    return (
        f'{{"otel": {{"observed_ns": {BASE_NS + 7}}}, "attributes": {{{inside}}}}}'.encode()
    )  # fmt: skip


ROWS = [
    row(k='"x"', n=5, ms="1.5", done="true", user_id='"u-1"', code=9),
    row(k='"yy"', n=-7, ms="12.125", done="false", user_id='"u-1"', code=9),
    row(k='""', n=0, ms="0.0", done="true", user_id='"u-1"', code=9),
    row(k='"a, b}: {"', n=5, user_id='"u-1"', code=9),
    row(k='"with \\" and \\\\"', n=5, user_id='"u-1"', code=9),
    row(k="null", n=5, user_id='"u-1"', code=9),
    row(k="12", n='"5"', user_id='"u-1"', code=9),
    row(k='"x"', n="1.0", user_id='"u-1"', code=9),
    row(k='"x"', n="9223372036854775808", user_id='"u-1"', code=9),
    row(k='"x"', ratio="0.1234567891", user_id='"u-1"', code=9),
    row(k='"x"', ratio="-0.0", user_id='"u-1"', code=9),
    row(k='"x"', other='"kept"', user_id='"u-1"', code=9),
    row(k='"x"', other='"kept too"', user_id='"u-1"', code=9),
    row(k='"x"', list="[1, 2]", user_id='"u-1"', code=9),
    row(k='"x"', user_id='"u-2"', code=9),
    row(k='"x"', user_id='"u-1"', code=8),
    row(k='"x"', code=9),
    row(k='"x"', user_id='"u-1"'),
    row(),
    *[text.encode() for text in ODD_METADATA],
]


def split(rows, *, uses_shapes):
    """Everything that the walker makes of rows."""
    walker = walker_of(PLAN)
    walker.start()
    walker.uses_shapes = uses_shapes
    for slot, item in enumerate(PLAN.promoted):
        if item.kind == LINK:
            walker.quotes[slot] = item.link == "actor_id"
            walker.links[slot] = [b"u-1" if item.link == "actor_id" else b"9"] * len(rows)
    walker.take(rows, [BASE_NS] * len(rows))
    numbers = [writer.getvalue() for writer in (*walker.numbers, *walker.valid)]
    return walker.rest, walker.exceptions, walker.texts, numbers, walker.hits


@pytest.mark.parametrize("turn", range(0, len(ROWS), 3))
def test_shapes_change_nothing(turn):
    rows = [*ROWS[turn:], *ROWS[:turn], *ROWS, *reversed(ROWS)]

    *by_shape, hits = split(rows, uses_shapes=True)
    *by_key, none = split(rows, uses_shapes=False)

    assert by_shape == by_key
    assert none == 0
    assert hits > len(ROWS) / 2


def test_shapes_that_do_not_repeat_are_given_up():
    rows = [row(k='"x"', user_id='"u-1"', code=9, other=n) for n in range(5000)]
    walker = walker_of(PLAN)
    for slot in walker.link_slots:
        walker.links[slot] = [None] * len(rows)

    walker.take(rows, [BASE_NS] * len(rows))

    assert not walker.uses_shapes
    assert len(walker.first_steps) < 300
    assert len(walker.rest) == 5000
