"""The HTTP application of the query server, built from its deps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aiohttp import web

from config.process.clock import now_ns
from config.process.health import Check
from config.settings import Settings
from query.api.http.access_control import AccessControl
from query.api.http.call import ClientAddresses
from query.api.http.middleware import put_headers, request_middleware
from query.api.http.same_site import SameSite
from query.api.operations.dead_letters import DeadLetterRoutes
from query.api.operations.evidence import EvidenceRoutes
from query.api.operations.holds import HoldRoutes
from query.api.operations.ingest import IngestRoutes
from query.api.operations.keys import KeyRoutes
from query.api.operations.purge import PurgeRoutes
from query.api.operations.redaction import PreviewRedaction, RedactionRoutes
from query.api.operations.retention import RetentionRoutes
from query.api.records.export import ExportRoutes
from query.api.records.facets import FacetRoutes
from query.api.records.live import LiveRoutes
from query.api.records.patterns import PatternRoutes
from query.api.records.querying import Querying, Sources
from query.api.records.records import RecordRoutes
from query.api.records.statistics import StatisticsRoutes
from query.api.records.traces.one import TraceRoutes
from query.api.records.traces.search import TraceSearchRoutes
from query.api.routes import Groups, routes
from query.api.system.documentation import DocumentationRoutes
from query.api.system.health import HealthRoutes, check_database, check_migrations
from query.api.system.sessions import SessionRoutes
from query.api.system.viewer import ViewerRoutes, static_files
from query.auth.access_audit import AccessAudit, Keep, Redact
from query.auth.sessions import Ends, Sessions, SharedEnds
from query.auth.shared_state import SharedState
from query.auth.tokens import Verifier
from query.auth.verification_keys import keys_from
from query.language.terms import StoredAs
from query.live.tail import LiveTail, Notifications
from query.planning.cursor import Cursors
from query.planning.known_names import KnownNames
from query.planning.packed.reading import PackReader, Store
from query.planning.pages import Catalogue, Pages
from storage.database.pool import Pool
from storage.database.read import Reader, Streams
from storage.packs.store import store_at

MAX_BODY_BYTES = 64 * 1024

ROUTES = web.AppKey("routes", tuple)
"""The route table of the application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What the query server needs from the other packages."""

    pool: Pool
    """Connections of the read-only role."""
    catalogue: Catalogue
    token_keys: Mapping[str, bytes] = field(repr=False)
    """The installation's verification key: key id to public PEM."""
    cursor_key: bytes = field(repr=False)
    session_ends: Ends
    """Who logged out."""
    keep_access: Keep
    """Stores access events; raises OpslogError if it cannot."""
    redact: Redact
    """Redacts secrets in a text, by the same rules as records."""
    stored_as: StoredAs
    """(attribute name, value as given) -> value as redaction stores it."""
    notifications: Notifications
    """Notifications of stored batches, for the live tail."""
    changes: Pool
    """Connections that may change keys, holds, purges and dead letters."""
    spools: Path
    """The folder with the spools of this machine."""
    preview_redaction: PreviewRedaction
    """Redacts a payload and reports which rules matched."""
    lookups: "Pool | None" = None
    """Connections of the same role that cache plans, for index lookups."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Further checks of /readyz; those of the database are built in."""
    packs: Store | None = None
    """The packs; None: their directory is not known."""
    state: SharedState = field(default_factory=SharedState.alone)
    """What the query processes share."""
    version: str
    now_ns: Callable[[], int] = now_ns


def build_app(settings: Settings, deps: Dependencies) -> web.Application:
    """Build the application.

    Serve it with `handler_cancellation=True`: a query is then cancelled in the database when its
    client disconnects.
    """
    reader = Reader(deps.pool, limit_s=settings.api.statement_timeout_s, lookups=deps.lookups)
    audit = AccessAudit(deps.keep_access, deps.redact, deps.stored_as)
    sessions = Sessions(deps.cursor_key, SharedEnds(deps.session_ends, deps.state))
    packs = PackReader(deps.packs)
    groups, live = _groups(settings, deps, reader, audit, sessions, packs)
    table = routes(groups)
    addresses = ClientAddresses(settings.api.trusted_proxies)
    access_control = AccessControl(
        Verifier(settings.auth, keys_from(settings.auth, deps.token_keys)),
        audit,
        addresses,
        sessions,
        deps.state,
        same_site=SameSite(settings.api.public_url, addresses),
        concurrent_queries=settings.api.user_concurrency,
        body_timeout_s=settings.api.body_timeout_s,
    )
    app = web.Application(middlewares=[request_middleware], client_max_size=MAX_BODY_BYTES)
    app[ROUTES] = table
    app.on_response_prepare.append(put_headers)
    app.cleanup_ctx.append(partial(_run_live, live))
    app.cleanup_ctx.append(partial(_run_packs, packs))
    for route in table:
        app.router.add_route(route.method, route.path, access_control.guard(route))
    return app


def _groups(  # noqa: PLR0917 - all that the routes depend on
    settings: Settings,
    deps: Dependencies,
    reader: Reader,
    audit: AccessAudit,
    sessions: Sessions,
    packs: PackReader,
) -> tuple[Groups, LiveTail]:
    streams = Streams()
    querying = Querying(
        Sources(
            reader=reader,
            pages=Pages(deps.catalogue, packs),
            known=KnownNames(reader, Pages(deps.catalogue, packs)),
            streams=streams,
            cursors=Cursors(deps.cursor_key),
            audit=audit,
            stored_as=deps.stored_as,
            now_ns=deps.now_ns,
        )
    )
    checks: dict[str, Check] = {
        "database": partial(check_database, reader),
        "migrations": partial(check_migrations, deps.pool),
        **deps.checks,
    }
    live = LiveTail(reader, deps.catalogue, streams, deps.notifications, packs, state=deps.state)
    records = RecordRoutes(querying)
    reader_pool, changes = deps.pool, deps.changes
    groups = Groups(
        health=HealthRoutes(checks, deps.version),
        viewer=ViewerRoutes(static_files()),
        records=records,
        statistics=StatisticsRoutes(querying),
        facets=FacetRoutes(querying),
        patterns=PatternRoutes(querying),
        trace=TraceRoutes(querying),
        trace_search=TraceSearchRoutes(querying),
        live=LiveRoutes(querying, live, sessions),
        export=ExportRoutes(querying),
        sessions=SessionRoutes(sessions),
        keys=KeyRoutes(changes, audit),
        redaction=RedactionRoutes(deps.preview_redaction),
        retention=RetentionRoutes(settings, reader_pool),
        holds=HoldRoutes(querying, reader_pool, changes),
        purge=PurgeRoutes(settings, querying, changes),
        ingest=IngestRoutes(reader_pool, deps.spools),
        evidence=EvidenceRoutes(records, reader_pool, store_at(settings.packs_dir)),
        dead_letters=DeadLetterRoutes(reader_pool, changes, audit),
        documentation=DocumentationRoutes(deps.version),
    )
    return groups, live


async def _run_live(live: LiveTail, _: web.Application) -> AsyncIterator[None]:
    """Run the live tail while the application runs."""
    task = asyncio.create_task(live.run(), name="query: live tail")
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _run_packs(packs: PackReader, _: web.Application) -> AsyncIterator[None]:
    """Stop the threads that read packs with the application."""
    yield
    packs.close()
