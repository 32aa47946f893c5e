"""metadata.otel of log records; the part that many records share is serialized once (Head).

Source: mapping of logs/data-model.md to non-OTLP formats; the raw number and text are always kept.
"""

from otlp_receiver.export import Head, Mark
from otlp_receiver.mapping.columns.action import event_of
from otlp_receiver.mapping.columns.levels import level_by_number
from otlp_receiver.mapping.metadata import sorted_object
from storage.record.canonical import canonical

_OBSERVED = "observed_ns"
_GAP = b'"observed_ns": '


def head_of(
    *,
    severity_number: int,
    severity_text: str,
    flags: int,
    event_name: str,
    dropped: int,
    marks: tuple[Mark, ...] = (),
    replaced: int = 0,
) -> Head:
    """Create a Head. The texts must be redacted."""
    members = {"severity_number": b"%d" % severity_number}
    if severity_text:
        members["severity_text"] = canonical(severity_text)
    if flags:
        members["flags"] = b"%d" % flags
    if event_name:
        members["event_name"] = canonical(event_name)
    if dropped:
        members["dropped_attributes_count"] = b"%d" % dropped
    before, _, after = sorted_object({**members, _OBSERVED: b""}).partition(_GAP)
    return Head(
        severity_number=severity_number,
        severity_text=severity_text,
        flags=flags,
        event_name=event_name,
        event=event_of(event_name),
        level=level_by_number(severity_number),
        members=members,
        otel=b'"otel": ' + sorted_object(members),
        before=b'{"otel": ' + before + _GAP,
        between=after + b', "attributes": {',
        after=after,
        marks=marks,
        replaced=replaced,
    )


def otel_member(head: Head, observed_ns: int, extra: dict[str, bytes]) -> bytes:
    """Metadata's `"otel": {…}` of one record, with further members (`extra`)."""
    if not extra and not observed_ns:
        return head.otel
    if not extra:
        return b"%b%d%b" % (head.before[1:], observed_ns, head.after)
    members = {**head.members, **extra}
    if observed_ns:
        members[_OBSERVED] = b"%d" % observed_ns
    return b'"otel": ' + sorted_object(members)
