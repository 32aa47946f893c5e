"""What an asker may see of what was asked for. Pure; deny by default."""

from config.access import Permission
from query.errors import Forbidden
from storage.fields import KIND, Kind
from storage.filters import EVERYTHING, FieldIn, Filter

_TELEMETRY = frozenset({Kind.LOG, Kind.SPAN})


def confine(
    asked: frozenset[Kind], held: frozenset[Permission], *, telemetry: Permission
) -> Filter:
    """The filter that keeps a question within the asker's rights.

    `asked` are the kinds named in the question; none means all but audit. Audit records need
    `audit.read`; all others need `telemetry` (logs.read, or logs.export for exports). Raises
    Forbidden rather than leaving out something that was asked for by name.
    """
    kinds = asked or _TELEMETRY
    if Kind.AUDIT in kinds and Permission.AUDIT_READ not in held:
        raise Forbidden(f"reading audit records needs {Permission.AUDIT_READ}")
    if kinds & _TELEMETRY and telemetry not in held:
        raise Forbidden(
            f"this needs {telemetry}; {Permission.AUDIT_READ} alone reads kind=audit only"
        )
    if kinds == frozenset(Kind):
        return EVERYTHING
    return FieldIn(KIND, tuple(kind for kind in Kind if kind in kinds))


def visible(held: frozenset[Permission]) -> Filter:
    """The filter for what is found by its id: everything that the asker may read."""
    kinds = _TELEMETRY if Permission.LOGS_READ in held else frozenset()
    if Permission.AUDIT_READ in held:
        kinds |= {Kind.AUDIT}
    return FieldIn(KIND, tuple(kind for kind in Kind if kind in kinds))
