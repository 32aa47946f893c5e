"""The one table of routes: method, path, handler, permission, name in the audit, models.

A route that is not here does not exist (app.py); a test walks all of it with every role, and
query/api/system/openapi.py describes it. A new group of routes: a file with a function like those
below, one line in `routes`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel

from config.access import Permission
from query.api import models, models_more, models_operations
from query.api import models_retention as kept
from query.api.http.call import Handler, Route
from query.api.operations.evidence import Discard, Operations
from query.api.operations.keys import KeyRoutes, NewKey, Rotation
from query.api.operations.redaction import Payload, RedactionTrial
from query.api.operations.retention import NewHold, RetentionRoutes
from query.api.records.export import Exports
from query.api.records.live import Tailing
from query.api.records.records import Logs
from query.api.records.statistics import Figures
from query.api.records.traces import Traces
from query.api.system.health import Health
from query.api.system.openapi import Description
from query.api.system.sessions import SessionRoutes
from query.api.system.viewer import PageFiles
from query.planning.search import (
    CONTEXT,
    EXPORT,
    FACETS,
    PATTERNS,
    PURGE,
    SEARCH,
    STATS,
    TAIL,
    TIMELINE,
    TRACE,
    TRACES,
    Shape,
)

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """All handlers of the query server."""

    logs: Logs
    exports: Exports
    traces: Traces
    figures: Figures
    tailing: Tailing
    sessions: SessionRoutes
    keys: KeyRoutes
    trial: RedactionTrial
    retention: RetentionRoutes
    operations: Operations
    health: Health
    page: PageFiles
    description: Description


def routes(given: Handlers) -> tuple[Route, ...]:
    """All routes. Fixed paths stand before those with a placeholder at the same place."""
    table = (
        *_health(given.health),
        *_page(given.page),
        _purge(given.retention),
        *_evidence(given.operations),
        *_records(given),
        *_sessions(given.sessions),
        *_keys(given.keys),
        *_redaction(given.trial),
        *_retention(given.retention),
        *_description(given.description),
    )
    given.description.of(table)
    return table


def _health(health: Health) -> Iterable[Route]:
    for path, handler, answer, summary in (
        ("/livez", health.livez, models.Alive, "Whether the process is alive"),
        ("/readyz", health.readyz, models.Readiness, "Whether it can do its work, by checks"),
        ("/healthz", health.readyz, models.Readiness, "The same as /readyz"),
    ):
        yield Route(
            method="GET",
            path=path,
            handler=handler,
            permission=None,
            tag="health",
            summary=summary,
            answer=answer,
        )
    yield Route(
        method="GET",
        path="/metrics",
        handler=health.metrics,
        permission=Permission.OPERATIONS_READ,
        tag="health",
        summary="Metrics in the text format of Prometheus",
        media=("text/plain",),
    )
    yield Route(
        method="GET",
        path="/version",
        handler=health.version,
        permission=Permission.LOGS_READ,
        audit_permission=Permission.AUDIT_READ,
        tag="health",
        summary="Which opslog this is",
        answer=models.Version,
    )


def _page(page: PageFiles) -> Iterable[Route]:
    for path, handler, summary, media in (
        ("/", page.index, "The page", "text/html"),
        ("/favicon.svg", page.icon, "Its icon", "image/svg+xml"),
        ("/assets/{name}", page.asset, "Its files", "*/*"),
    ):
        yield Route(
            method="GET",
            path=path,
            handler=handler,
            permission=None,
            tag="page",
            summary=summary,
            media=(media,),
        )


def _records(given: Handlers) -> Iterable[Route]:
    logs, figures, traces = given.logs, given.figures, given.traces
    yield _read("/logs", logs.search, "logs.search", SEARCH, models.LogPage, "Search records")
    yield Route(
        method="GET",
        path=f"{PREFIX}/logs/export",
        handler=given.exports.export,
        permission=Permission.LOGS_EXPORT,
        action="logs.export",
        is_slow=True,
        tag="records",
        summary="Export records as NDJSON, JSON, CSV or OTLP",
        parameters=EXPORT,
        media=("application/x-ndjson", "application/json", "text/csv"),
    )
    yield Route(
        method="GET",
        path=f"{PREFIX}/logs/tail",
        handler=given.tailing.tail,
        permission=Permission.LOGS_READ,
        audit_permission=Permission.AUDIT_READ,
        action="logs.tail",
        is_slow=True,
        tag="records",
        summary="Records as they are stored, as server-sent events",
        parameters=TAIL,
        media=("text/event-stream",),
    )
    for path, handler, action, shape, answer, summary in (
        ("/logs/stats", figures.stats, "logs.stats", STATS, models_more.Stats, "Count records"),
        ("/logs/facets", figures.facets, "logs.facets", FACETS, models_more.Facets, "Top values"),
        (
            *("/logs/patterns", figures.patterns, "logs.patterns"),
            *(PATTERNS, models_more.Patterns, "Messages by their shape"),
        ),
        (
            *("/logs/trace/{traceId}", traces.one, "logs.trace"),
            *(TRACE, models_more.TracePage, "Spans and logs of a trace, oldest first"),
        ),
        (
            *("/logs/resource/{id}", logs.resource, "logs.resource"),
            *(TIMELINE, models.LogPage, "What happened to a thing, in every service"),
        ),
        (
            *("/logs/correlation/{id}", logs.correlation, "logs.correlation"),
            *(TIMELINE, models.LogPage, "Records of a request, by its id or its trace's"),
        ),
        (
            *("/logs/actor/{id}", logs.actor, "logs.actor"),
            *(TIMELINE, models.LogPage, "What somebody did"),
        ),
        ("/logs/{id}", logs.one, "logs.read", None, models.LogRecord, "One record by its id"),
        (
            *("/logs/{id}/context", logs.context, "logs.context"),
            *(CONTEXT, models_more.Context, "What its service said around a record"),
        ),
        ("/traces", traces.search, "traces.search", TRACES, models_more.FoundTraces, "Find traces"),
    ):
        yield _read(path, handler, action, shape, answer, summary)


def _read(  # noqa: PLR0917 - the columns of the table above
    path: str,
    handler: Handler,
    action: str,
    shape: Shape | None,
    answer: type[BaseModel],
    summary: str,
) -> Route:
    """A question about records."""
    return Route(
        method="GET",
        path=f"{PREFIX}{path}",
        handler=handler,
        permission=Permission.LOGS_READ,
        audit_permission=Permission.AUDIT_READ,
        action=action,
        tag="records",
        summary=summary,
        parameters=shape,
        answer=answer,
    )


def _sessions(sessions: SessionRoutes) -> Iterable[Route]:
    for method, handler, summary, answer, status in (
        ("POST", sessions.begin, "Exchange the token for a cookie", models_more.Session, 200),
        ("GET", sessions.show, "Who asks, and what they may do", models_more.Session, 200),
        ("DELETE", sessions.end, "End the session", None, 204),
    ):
        yield Route(
            method=method,
            path=f"{PREFIX}/session",
            handler=handler,
            permission=None,
            needs_token=True,
            action={"POST": "session.begin", "DELETE": "session.end"}.get(method, ""),
            tag="session",
            summary=summary,
            answer=answer,
            status=status,
        )


def _keys(keys: KeyRoutes) -> Iterable[Route]:
    for method, path, handler, action, summary, body, answer, status in (
        ("GET", "", keys.list, "keys.list", "Ingest keys", None, models_more.Keys, 200),
        (
            *("POST", "", keys.create, "keys.create", "Make an ingest key", NewKey),
            *(models_more.NewKeyAnswer, 201),
        ),
        (
            *("POST", "/{name}/rotate", keys.rotate, "keys.rotate", "Renew a key", Rotation),
            *(models_more.NewKeyAnswer, 201),
        ),
        (
            *("DELETE", "/{name}", keys.revoke, "keys.revoke", "End a key at once", None),
            *(models_more.Revoked, 200),
        ),
    ):
        yield Route(
            method=method,
            path=f"{PREFIX}/ingest/keys{path}",
            handler=handler,
            permission=Permission.KEYS_MANAGE,
            action=action,
            tag="ingest keys",
            summary=summary,
            body=body,
            answer=answer,
            status=status,
        )


def _redaction(trial: RedactionTrial) -> Iterable[Route]:
    yield Route(
        method="POST",
        path=f"{PREFIX}/redaction/test",
        handler=trial.test,
        permission=Permission.REDACTION_TEST,
        action="redaction.test",
        tag="redaction",
        summary="What redaction would make of a payload; nothing is kept",
        body=Payload,
        answer=models_more.TrialResult,
    )


def _purge(retention: RetentionRoutes) -> Route:
    return Route(
        method="DELETE",
        path=f"{PREFIX}/logs/purge",
        handler=retention.purge,
        permission=Permission.LOGS_PURGE,
        action="logs.purge",
        tag="retention",
        summary="Remove records: what would go, and with the token of that answer, it goes",
        parameters=PURGE,
        answer=kept.PurgeAnswer,
    )


def _retention(retention: RetentionRoutes) -> Iterable[Route]:
    for path, handler, action, answer, summary in (
        ("/retention/plan", retention.plan, "retention.plan", kept.RetentionPlan, "What goes next"),
        ("/retention/runs", retention.runs, "retention.runs", kept.Runs, "What went"),
        (
            *("/retention/status", retention.status, "retention.status"),
            *(kept.RetentionState, "The oldest record of each class against its rule"),
        ),
        ("/segments", retention.segments, "segments.list", kept.SegmentRows, "Segments"),
        ("/holds", retention.holds, "holds.list", kept.HoldRows, "Legal holds"),
    ):
        yield Route(
            method="GET",
            path=f"{PREFIX}{path}",
            handler=handler,
            permission=Permission.OPERATIONS_READ,
            action=action,
            tag="retention",
            summary=summary,
            answer=answer,
        )
    for method, path, handler, action, summary, body, status in (
        ("POST", "/holds", retention.hold, "holds.add", "Hold records", NewHold, 201),
        ("DELETE", "/holds/{id}", retention.release, "holds.release", "Release a hold", None, 200),
    ):
        yield Route(
            method=method,
            path=f"{PREFIX}{path}",
            handler=handler,
            permission=Permission.HOLDS_MANAGE,
            action=action,
            tag="retention",
            summary=summary,
            body=body,
            answer=kept.HoldRow,
            status=status,
        )


def _evidence(operations: Operations) -> Iterable[Route]:
    yield Route(
        method="GET",
        path=f"{PREFIX}/logs/{{id}}/proof",
        handler=operations.proof,
        permission=Permission.LOGS_READ,
        audit_permission=Permission.AUDIT_READ,
        action="logs.prove",
        tag="evidence",
        summary="The proof that a record is in the signed ledger",
        answer=models.AnyObject,
    )
    yield Route(
        method="GET",
        path=f"{PREFIX}/ledger/checkpoint",
        handler=operations.checkpoint,
        permission=Permission.OPERATIONS_READ,
        action="ledger.read",
        tag="evidence",
        summary="The newest signed head of the ledger",
        media=("text/plain",),
    )
    made = models_operations
    ledger, letters, one = operations.ledger, operations.dead_letters, operations.dead_letter
    for path, handler, action, answer, summary in (
        (
            "/ingest/ledger",
            ledger,
            "ledger.read",
            made.IngestLedger,
            "What came, what became of it",
        ),
        ("/dead-letters", letters, "dead_letters.list", made.DeadLetterPage, "Rows refused"),
        ("/dead-letters/{id}", one, "dead_letters.read", made.DeadLetterRow, "A row refused"),
    ):
        yield Route(
            method="GET",
            path=f"{PREFIX}{path}",
            handler=handler,
            permission=Permission.OPERATIONS_READ,
            action=action,
            tag="evidence",
            summary=summary,
            answer=answer,
        )
    for verb, handler, summary, body in (
        ("replay", operations.replay, "Store a refused row, after a fix", None),
        ("discard", operations.discard, "Give a refused row up", Discard),
    ):
        yield Route(
            method="POST",
            path=f"{PREFIX}/dead-letters/{{id}}/{verb}",
            handler=handler,
            permission=Permission.OPERATIONS_MANAGE,
            action=f"dead_letters.{verb}",
            tag="evidence",
            summary=summary,
            body=body,
            answer=made.DeadLetterOutcome,
        )


def _description(description: Description) -> Iterable[Route]:
    yield Route(
        method="GET",
        path="/api/openapi.json",
        handler=description.document,
        permission=None,
        tag="description",
        summary="This API as an OpenAPI document",
        answer=models.AnyObject,
    )
    yield Route(
        method="GET",
        path="/api/docs",
        handler=description.page,
        permission=None,
        tag="description",
        summary="This API for people",
        media=("text/html",),
    )
