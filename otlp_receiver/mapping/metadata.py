"""metadata: everything without a column, as canonical JSON.

Exactly attributes, body, span, exception, otel, redaction, time_quality, level_source, audit, each
only if not empty. Assembled from serialized members: canonical.py defines their order,
tests/unit/otlp_receiver/mapping/test_metadata.py checks that it is kept.
"""

from collections.abc import Iterable

from otlp_receiver.export import Mark, Note, Odd
from storage.record.canonical import canonical, member, order_of
from storage.record.record import Value


def sorted_object(members: dict[str, bytes]) -> bytes:
    """An object of serialized values by key."""
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
    """The metadata object. Arguments are members (`"otel": {…}`) or b""; `attributes` w/o key."""
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
    """`"redaction": [{"rule": …, "count": …, "field": …}]`: count by field and rule.

    Sorted by field and rule: the same record yields the same bytes, independent of the memos.
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


def notes_json(notes: Iterable[Note]) -> list[Value]:
    """`[{"field": …, "problem": …, "sent": …}]`: values that could not be read."""
    return [
        {"field": note.where, "problem": note.problem}
        if note.sent is None
        else {"field": note.where, "problem": note.problem, "sent": note.sent}
        for note in notes
    ]


def unreadable_text(count: int, first: str) -> str:
    """Warning to the sender about values that could not be read; their records are stored."""
    return (
        f"{count} values cannot be read as what their fields require (first: {first}); stored as"
        " text, with metadata.otel.unreadable: check the sender's OTLP encoder"
    )


def odd_members(odd: Odd) -> dict[str, bytes]:
    """Members of metadata.otel about structure that was not kept."""
    members: dict[str, bytes] = {}
    if odd.cuts:
        members["cut"] = canonical(dict(odd.cuts))
    if odd.notes:
        members["unreadable"] = canonical(notes_json(odd.notes))
    if odd.strindexes:
        members["string_table_references"] = b"%d" % odd.strindexes
    return members
