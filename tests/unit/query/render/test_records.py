"""Rows as records of the API: what is stored with the stream comes back with each of its records."""

import json

import pytest

from query.render.records import metadata_text
from storage.database.read import Stream

RESOURCE_URL, SCOPE_URL = 'https://example.org/"r"', "https://example.org/s"
BODIES = [
    None,
    "",
    'text with "otel": { in it',
    {"otel": {"schema_url": "x"}},
    [1, {"otel": {}}],
    2**64,
]


@pytest.mark.parametrize("body", BODIES, ids=repr)
@pytest.mark.parametrize("otel", [{}, {"flags": 1, "severity_number": 9}], ids=repr)
def test_point_118_both_schema_urls_are_in_otel(body, otel):
    """118: whatever the body before it looks like; everything else stays as it is stored."""
    stored = {"body": body, "otel": otel, "span": None, "attributes": {}}

    shown = json.loads(
        metadata_text({"metadata": json.dumps(stored)}, Stream("{}", "{}", RESOURCE_URL, SCOPE_URL))
    )

    urls = {"resource_schema_url": RESOURCE_URL, "schema_url": SCOPE_URL}
    assert shown == {**stored, "otel": {**urls, **otel}}


def test_without_schema_urls_the_metadata_is_what_is_stored():
    """Byte for byte."""
    text = '{"body": null, "otel": {}, "big": 12345678901234567890123}'

    assert metadata_text({"metadata": text}, Stream("{}", "{}")) is text
