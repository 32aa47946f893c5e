"""The HTTP application of the query server, put together from what it is given."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aiohttp import web

from config.process.clock import now_ns
from config.process.health import Check
from config.settings import Settings
from query.api.http.access_control import Door
from query.api.http.call import ClientAddresses
from query.api.http.middleware import edge, put_headers
from query.api.operations.evidence import Operations
from query.api.operations.keys import KeyRoutes
from query.api.operations.redaction import RedactionTrial, Try
from query.api.operations.retention import RetentionRoutes
from query.api.records.export import Exports
from query.api.records.live import Tailing
from query.api.records.querying import Asking, Sources
from query.api.records.records import Logs
from query.api.records.statistics import Figures
from query.api.records.traces import Traces
from query.api.routes import Handlers, routes
from query.api.system.health import Health, check_database, check_migrations
from query.api.system.openapi import Description
from query.api.system.sessions import SessionRoutes
from query.api.system.viewer import PageFiles, static_files
from query.auth.access_audit import AccessAudit, Keep, Redact
from query.auth.keys import keys_from
from query.auth.sessions import Ends, Sessions
from query.auth.tokens import Verifier
from query.language.terms import StoredAs
from query.live.tail import Live, News
from query.planning.cursor import Cursors
from query.planning.pages import Catalogue, Pages
from storage.database.pool import Pool
from storage.database.read import Reader, Streams

MAX_BODY_BYTES = 64 * 1024

ROUTES = web.AppKey("routes", tuple)
"""The table that the application was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the query server needs from the rest of the house."""

    pool: Pool
    """Connections of the role that can only select."""
    catalogue: Catalogue
    token_keys: Mapping[str, bytes] = field(repr=False)
    """The installation's own verification key: key id to public PEM."""
    cursor_key: bytes = field(repr=False)
    session_ends: Ends
    """Who logged out."""
    keep_access: Keep
    """Where access events go; it raises OpslogError when they cannot be kept."""
    redact: Redact
    """Hides secrets in a text, by the same rules as records."""
    stored_as: StoredAs
    """(attribute name, value) as typed -> value as redaction would have stored it."""
    news: News
    """Tells of batches that were stored, for the live tail."""
    changes: Pool
    """Connections that may change ingest keys."""
    spools: Path
    """The folder with the spools of this machine."""
    trial: Try
    """What redaction would make of a payload."""
    lookups: "Pool | None" = None
    """Connections of the same role that keep plans, for what one index finds."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Further checks of /readyz; the database's own is always there."""
    version: str
    now_ns: Callable[[], int] = now_ns


def build_app(settings: Settings, parts: Parts) -> web.Application:
    """The application.

    Serve it with `handler_cancellation=True`: a question whose asker has gone is then cancelled
    in the database as well.
    """
    reader = Reader(parts.pool, limit_s=settings.api.statement_timeout_s, lookups=parts.lookups)
    audit = AccessAudit(parts.keep_access, parts.redact, parts.stored_as)
    sessions = Sessions(parts.cursor_key, parts.session_ends)
    handlers, live = _handlers(settings, parts, reader, audit, sessions)
    table = routes(handlers)
    door = Door(
        Verifier(settings.auth, keys_from(settings.auth, parts.token_keys)),
        audit,
        ClientAddresses(settings.api.trusted_proxies),
        sessions,
        questions_at_a_time=settings.api.user_concurrency,
        body_timeout_s=settings.api.body_timeout_s,
    )
    app = web.Application(middlewares=[edge], client_max_size=MAX_BODY_BYTES)
    app[ROUTES] = table
    app.on_response_prepare.append(put_headers)
    app.cleanup_ctx.append(partial(_beside, live))
    for route in table:
        app.router.add_route(route.method, route.path, door.guard(route))
    return app


def _handlers(
    settings: Settings, parts: Parts, reader: Reader, audit: AccessAudit, sessions: Sessions
) -> tuple[Handlers, Live]:
    streams = Streams()
    asking = Asking(
        Sources(
            reader=reader,
            pages=Pages(parts.catalogue),
            streams=streams,
            cursors=Cursors(parts.cursor_key),
            audit=audit,
            stored_as=parts.stored_as,
            now_ns=parts.now_ns,
        )
    )
    checks: dict[str, Check] = {
        "database": partial(check_database, reader),
        "migrations": partial(check_migrations, parts.pool),
        **parts.checks,
    }
    live = Live(reader, parts.catalogue, streams, parts.news)
    logs = Logs(asking)
    handlers = Handlers(
        logs=logs,
        exports=Exports(asking),
        traces=Traces(asking),
        figures=Figures(asking),
        tailing=Tailing(asking, live, sessions),
        sessions=SessionRoutes(sessions),
        keys=KeyRoutes(parts.changes, audit),
        trial=RedactionTrial(parts.trial),
        retention=RetentionRoutes(settings, asking, parts.pool, parts.changes),
        operations=Operations(logs, parts.pool, parts.changes, audit, parts.spools),
        health=Health(checks, parts.version),
        page=PageFiles(static_files()),
        description=Description(parts.version),
    )
    return handlers, live


async def _beside(live: Live, _: web.Application) -> AsyncIterator[None]:
    """Runs the live tail's looking while the application runs."""
    task = asyncio.create_task(live.run(), name="query: live tail")
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
