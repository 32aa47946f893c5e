"""Which records a principal may read, as a filter. Pure; deny by default."""

from config.access import Permission
from query.auth.tokens import Principal
from query.errors import Forbidden
from storage.filtering.filters import EVERYTHING, FieldIn, Filter, all_of
from storage.record.fields import KIND, SOURCE_MODULE, Kind

_TELEMETRY = frozenset({Kind.LOG, Kind.SPAN})


def confine(requested: frozenset[Kind], principal: Principal, *, telemetry: Permission) -> Filter:
    """The filter that restricts a query to the principal's permissions.

    `requested` are the kinds named in the query; none means all but audit. Audit records need
    `audit.read`; all others need `telemetry` (logs.read, or logs.export for exports). Raises
    Forbidden rather than omitting a kind that was requested explicitly.
    """
    kinds, held = requested or _TELEMETRY, principal.permissions
    if Kind.AUDIT in kinds and Permission.AUDIT_READ not in held:
        raise Forbidden(f"Reading audit records requires {Permission.AUDIT_READ}")
    if kinds & _TELEMETRY and telemetry not in held:
        raise Forbidden(
            f"This requires {telemetry}. {Permission.AUDIT_READ} alone permits kind=audit only"
        )
    return all_of(_of_kinds(kinds), _of_modules(principal))


def visible_kinds(held: frozenset[Permission]) -> frozenset[Kind]:
    """The kinds of records that these permissions cover."""
    kinds = _TELEMETRY if Permission.LOGS_READ in held else frozenset()
    return kinds | {Kind.AUDIT} if Permission.AUDIT_READ in held else kinds


def visible(principal: Principal) -> Filter:
    """The filter for everything that the principal may read."""
    return all_of(_of_kinds(visible_kinds(principal.permissions)), _of_modules(principal))


def _of_kinds(kinds: frozenset[Kind]) -> Filter:
    if kinds == frozenset(Kind):
        return EVERYTHING
    return FieldIn(KIND, tuple(kind for kind in Kind if kind in kinds))


def _of_modules(principal: Principal) -> Filter:
    return EVERYTHING if principal.modules is None else FieldIn(SOURCE_MODULE, principal.modules)
