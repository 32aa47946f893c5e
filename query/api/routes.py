"""The one table of routes: method, path, handler, permission, name in the audit, models.

A route that is not here does not exist (app.py); a test walks all of it with every role.
"""

from config.access import Permission
from query.api.call import Route
from query.api.health import Health
from query.api.logs import Logs
from query.api.models import LogPage, LogRecord, Readiness, Version
from query.search import EXPORT, SEARCH, TRACE

PREFIX = "/api/v1"


def routes(logs: Logs, health: Health) -> tuple[Route, ...]:
    """All routes. Fixed paths stand before those with a placeholder at the same place."""
    return (
        Route(
            method="GET",
            path="/livez",
            handler=health.livez,
            permission=None,
            summary="Whether the process is alive",
        ),
        Route(
            method="GET",
            path="/readyz",
            handler=health.readyz,
            permission=None,
            summary="Whether the process can do its work, check by check",
            answer=Readiness,
        ),
        Route(
            method="GET",
            path="/healthz",
            handler=health.readyz,
            permission=None,
            summary="The same as /readyz",
            answer=Readiness,
        ),
        Route(
            method="GET",
            path="/metrics",
            handler=health.metrics,
            permission=Permission.OPERATIONS_READ,
            summary="Metrics in the text format of Prometheus",
        ),
        Route(
            method="GET",
            path="/version",
            handler=health.version,
            permission=Permission.LOGS_READ,
            audit_permission=Permission.AUDIT_READ,
            summary="Which opslog this is",
            answer=Version,
        ),
        Route(
            method="GET",
            path=f"{PREFIX}/logs",
            handler=logs.search,
            permission=Permission.LOGS_READ,
            audit_permission=Permission.AUDIT_READ,
            action="logs.search",
            summary="Search records",
            parameters=SEARCH,
            answer=LogPage,
        ),
        Route(
            method="GET",
            path=f"{PREFIX}/logs/export",
            handler=logs.export,
            permission=Permission.LOGS_EXPORT,
            action="logs.export",
            summary="Export records as NDJSON, JSON or CSV",
            parameters=EXPORT,
        ),
        Route(
            method="GET",
            path=f"{PREFIX}/logs/trace/{{traceId}}",
            handler=logs.trace,
            permission=Permission.LOGS_READ,
            audit_permission=Permission.AUDIT_READ,
            action="logs.trace",
            summary="Spans and logs of a trace, oldest first",
            parameters=TRACE,
            answer=LogPage,
        ),
        Route(
            method="GET",
            path=f"{PREFIX}/logs/{{id}}",
            handler=logs.one,
            permission=Permission.LOGS_READ,
            audit_permission=Permission.AUDIT_READ,
            action="logs.read",
            summary="One record by its id",
            answer=LogRecord,
        ),
    )
