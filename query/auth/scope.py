"""What an asker may see of what was asked for. Pure; deny by default."""

from config.access import Permission
from query.auth.tokens import Principal
from query.errors import Forbidden
from storage.filtering.filters import EVERYTHING, FieldIn, Filter, all_of
from storage.record.fields import KIND, SOURCE_MODULE, Kind

_TELEMETRY = frozenset({Kind.LOG, Kind.SPAN})


def confine(asked: frozenset[Kind], asker: Principal, *, telemetry: Permission) -> Filter:
    """The filter that keeps a question within the asker's rights.

    `asked` are the kinds named in the question; none means all but audit. Audit records need
    `audit.read`; all others need `telemetry` (logs.read, or logs.export for exports). Raises
    Forbidden rather than leaving out something that was asked for by name.
    """
    kinds, held = asked or _TELEMETRY, asker.permissions
    if Kind.AUDIT in kinds and Permission.AUDIT_READ not in held:
        raise Forbidden(f"reading audit records needs {Permission.AUDIT_READ}")
    if kinds & _TELEMETRY and telemetry not in held:
        raise Forbidden(
            f"this needs {telemetry}; {Permission.AUDIT_READ} alone reads kind=audit only"
        )
    return all_of(_of_kinds(kinds), _of_modules(asker))


def visible_kinds(held: frozenset[Permission]) -> frozenset[Kind]:
    """The kinds of records that the asker may read."""
    kinds = _TELEMETRY if Permission.LOGS_READ in held else frozenset()
    return kinds | {Kind.AUDIT} if Permission.AUDIT_READ in held else kinds


def visible(asker: Principal) -> Filter:
    """The filter for what is found by its id: everything that the asker may read."""
    return all_of(_of_kinds(visible_kinds(asker.permissions)), _of_modules(asker))


def _of_kinds(kinds: frozenset[Kind]) -> Filter:
    if kinds == frozenset(Kind):
        return EVERYTHING
    return FieldIn(KIND, tuple(kind for kind in Kind if kind in kinds))


def _of_modules(asker: Principal) -> Filter:
    return EVERYTHING if asker.modules is None else FieldIn(SOURCE_MODULE, asker.modules)
