"""The HTTP application of the query server, put together from what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web

from config.clock import now_ns
from config.health import Check
from config.settings import Settings
from query.access_audit import AccessAudit, Keep, Redact
from query.api.call import ClientAddresses
from query.api.door import Door
from query.api.edge import edge, put_headers
from query.api.health import Health, check_database, check_migrations
from query.api.logs import Logs, Sources
from query.api.routes import routes
from query.auth.keys import keys_from
from query.auth.tokens import Verifier
from query.cursor import Cursors
from query.pages import Catalogue, Pages
from query.search import StoredAs
from storage.pool import Pool
from storage.read import Reader, Streams

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
    keep_access: Keep
    """Where access events go; it raises OpslogError when they cannot be kept."""
    redact: Redact
    """Hides secrets in a text, by the same rules as records."""
    stored_as: StoredAs
    """(attribute name, value) as typed -> value as redaction would have stored it."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Further checks of /readyz; the database's own is always there."""
    version: str
    now_ns: Callable[[], int] = now_ns


def build_app(settings: Settings, parts: Parts) -> web.Application:
    """The application.

    Serve it with `handler_cancellation=True`: a question whose asker has gone is then cancelled
    in the database as well.
    """
    reader = Reader(parts.pool, limit_s=settings.api.statement_timeout_s)
    audit = AccessAudit(parts.keep_access, parts.redact, parts.stored_as)
    logs = Logs(
        Sources(
            reader=reader,
            pages=Pages(parts.catalogue),
            streams=Streams(),
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
    table = routes(logs, Health(checks, parts.version))
    keys = keys_from(settings.auth, parts.token_keys)
    door = Door(
        Verifier(settings.auth, keys),
        audit,
        ClientAddresses(settings.api.trusted_proxies),
        questions_at_a_time=settings.api.user_concurrency,
    )
    app = web.Application(middlewares=[edge], client_max_size=MAX_BODY_BYTES)
    app[ROUTES] = table
    app.on_response_prepare.append(put_headers)
    for route in table:
        app.router.add_route(route.method, route.path, door.guard(route))
    return app
