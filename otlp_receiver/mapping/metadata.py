"""metadata: what has no column, as canonical JSON.

Exactly attributes, body, span, exception, otel, redaction, time_quality, level_source, audit, each
only when it has content. Everything is put together from ready pieces: canonical.py fixes the order
of members, tests/unit/otlp_receiver/test_metadata.py that the pieces keep it.
"""

from collections.abc import Iterable

from otlp_receiver.export import Mark, Odd
from storage.record.canonical import canonical, member, order_of


def sorted_object(members: dict[str, bytes]) -> bytes:
    """An object of ready values by key."""
    keys = sorted(members, key=order_of)
    return b"{" + b", ".join([canonical(key) + b": " + members[key] for key in keys]) + b"}"


def assembled(
    *,
    attributes: bytes,
    body: bytes = b"",
    otel: bytes = b"",
    span: bytes = b"",
    audit: bytes = b"",
    exception: bytes = b"",
    marks: list[Mark] | None = None,
    level_source: str = "",
    time_quality: str = "",
) -> bytes:
    """The whole. Arguments are members (`"otel": {…}`) or b""; `attributes` the inside of one."""
    members = (
        body,
        otel,
        span,
        audit,
        exception,
        redaction_member(marks) if marks else b"",
        b'"attributes": {' + attributes + b"}" if attributes else b"",
        b'"level_source": "' + level_source.encode() + b'"' if level_source else b"",
        b'"time_quality": "' + time_quality.encode() + b'"' if time_quality else b"",
    )
    return b"{" + b", ".join([item for item in members if item]) + b"}"


def redaction_member(marks: Iterable[Mark]) -> bytes:
    """`"redaction": [{"rule": …, "count": …, "field": …}]`: where which rule hid how much.

    By field, then rule: the same record gives the same bytes, whatever the memos held before.
    """
    counts: dict[tuple[str, str], int] = {}
    for where, rule, count in marks:
        counts[where, rule] = counts.get((where, rule), 0) + count
    return member(
        "redaction",
        [
            {"rule": rule, "count": count, "field": where}
            for (where, rule), count in sorted(counts.items())
        ],
    )


def odd_members(odd: Odd) -> dict[str, bytes]:
    """What metadata.otel says about structure that could not be kept."""
    members: dict[str, bytes] = {}
    if odd.cuts:
        members["cut"] = canonical(dict(odd.cuts))
    if odd.strindexes:
        members["string_table_references"] = b"%d" % odd.strindexes
    return members
