"""Roles and their permissions, in one table. Enforced by query/api/http/access_control.py."""

from enum import StrEnum


class Permission(StrEnum):
    """A permission, named object.verb. Every route requires exactly one (query/api/routes.py)."""

    LOGS_READ = "logs.read"
    LOGS_EXPORT = "logs.export"
    LOGS_PURGE = "logs.purge"
    AUDIT_READ = "audit.read"
    KEYS_MANAGE = "keys.manage"
    HOLDS_MANAGE = "holds.manage"
    RETENTION_MANAGE = "retention.manage"
    OPERATIONS_READ = "operations.read"
    OPERATIONS_MANAGE = "operations.manage"
    REDACTION_TEST = "redaction.test"


class Role(StrEnum):
    """The role in a token; any other value has no permissions."""

    SUPER_ADMIN = "SUPER_ADMIN"
    ADMIN = "ADMIN"
    MANAGER = "MANAGER"
    NOC = "NOC"
    AUDITOR = "AUDITOR"
    HELPDESK = "HELPDESK"
    HR = "HR"
    FINANCE = "FINANCE"


_P = Permission
ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.SUPER_ADMIN: frozenset(Permission),
    Role.ADMIN: frozenset({_P.LOGS_READ, _P.LOGS_EXPORT, _P.OPERATIONS_READ, _P.REDACTION_TEST}),
    Role.MANAGER: frozenset({_P.LOGS_READ}),
    Role.NOC: frozenset({_P.LOGS_READ}),
    Role.AUDITOR: frozenset({_P.AUDIT_READ, _P.OPERATIONS_READ}),
    Role.HELPDESK: frozenset(),
    Role.HR: frozenset(),
    Role.FINANCE: frozenset(),
}


def permissions_of(role: str) -> frozenset[Permission]:
    """Permissions of a role by its exact name; an unknown role has none (deny by default)."""
    try:
        return ROLE_PERMISSIONS[Role(role)]
    except ValueError:
        return frozenset()
