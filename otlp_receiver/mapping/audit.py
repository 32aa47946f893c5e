"""metadata.audit: the fields of an audit event that have no column.

Source: OTEP 0267 and specification/audit/data-model.md (opentelemetry-specification PR 5059).
"""

from storage.record.canonical import member
from storage.record.record import Attribute, Value

PREFIX = "audit."
OUTCOME_KEY = "audit.outcome"
FIELDS: dict[str, tuple[str, ...]] = {
    "audit.action": ("action",),
    "audit.outcome": ("outcome",),
    "audit.actor.type": ("actor", "type"),
    "audit.target.type": ("target", "type"),
    "audit.source.id": ("source", "id"),
    "audit.source.type": ("source", "type"),
    "audit.record.id": ("record", "id"),
    "audit.sequence.number": ("sequence", "number"),
    "audit.prev.hash": ("prev", "hash"),
    "audit.integrity.algorithm": ("integrity", "algorithm"),
    "audit.integrity.value": ("integrity", "value"),
}
"""Path in metadata.audit by attribute."""

AuditPlaces = tuple[tuple[int, str], ...]


def audit_member(attributes: list[Attribute], places: AuditPlaces) -> bytes:
    """Metadata's `"audit": {…}`."""
    audit: dict[str, Value] = {}
    for place, key in places:
        path = FIELDS[key]
        inner = audit
        if len(path) > 1:
            nested = audit.setdefault(path[0], {})
            assert isinstance(nested, dict)
            inner = nested
        inner[path[-1]] = attributes[place].value
    return member("audit", audit)
