"""Stored filters are restored unchanged."""

from ipaddress import ip_network
from typing import get_args
from uuid import UUID

import pytest

from config.levels import Level
from storage.filtering import filters
from storage.filtering.filter_json import InvalidFilter, dump, load
from storage.record import fields

EXAMPLES = [
    filters.And((filters.Text("a"), filters.Or(()))),
    filters.Or((filters.Text("a", ignores_case=True),)),
    filters.Not(filters.FieldEquals(fields.LEVEL, Level.ERROR)),
    filters.FieldEquals(fields.TRACE_ID, UUID(int=7)),
    filters.FieldEquals(fields.SPAN_ID, b"\x01\x02"),
    filters.FieldIn(fields.KIND, (fields.Kind.LOG, fields.Kind.SPAN)),
    filters.FieldIn(fields.STREAM_ID, (1, -2)),
    filters.FieldCompare(fields.DURATION_NS, filters.Comparison.GREATER, 5),
    filters.FieldPrefix(fields.ACTION, "order."),
    filters.FieldPresent(fields.ACTOR_ID),
    filters.Text("needle"),
    filters.Regex("^a.*b$"),
    filters.AttrEquals("user.id", "7"),
    filters.AttrCompare("n", filters.Comparison.LESS, "3.5"),
    filters.AttrPrefix("path", "/v1"),
    filters.AttrRegex("path", "v[12]"),
    filters.AttrPresent("x"),
    filters.ResourceEquals("service.name", 'sh"op'),
    filters.OnResource(filters.AttrPrefix("host.name", "web-")),
    filters.ValueAt((("body", "a"), ()), filters.ValueTest.CONTAINS, "x", is_deep=True),
    filters.OnResource(filters.ValueAt((("scope", "name"),), filters.ValueTest.GREATER, "1")),
    filters.IpIn(ip_network("10.0.0.0/8")),
    filters.IpIn(ip_network("2001:db8::/32")),
    filters.TimeRange(1, None),
]


@pytest.mark.parametrize("condition", EXAMPLES, ids=repr)
def test_a_filter_is_restored_unchanged(condition) -> None:
    assert load(dump(condition)) == condition


def test_every_node_has_an_example() -> None:
    assert {type(example) for example in EXAMPLES} == set(get_args(filters.Filter))


def test_a_missing_member_has_its_default() -> None:
    assert load('{"Text": {"text": "x"}}') == filters.Text("x")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Text": {}}', '{"Nothing": {"a": 1}}', "1"])
def test_anything_else_is_rejected(text: str) -> None:
    with pytest.raises(InvalidFilter):
        load(text)
