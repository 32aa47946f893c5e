"""Builds the query server: reader pool, catalogue and tokens behind the API; access audit."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack, suppress

from aiohttp import web

from config.process.clock import now_ns
from config.process.health import Check
from config.process.listener import Listener
from config.process.tls import TlsContext
from config.settings import Settings
from opslog import __version__
from opslog.installation.installation import Installation
from opslog.wiring.canaries import Canaries
from opslog.wiring.health import check_of, serving
from opslog.wiring.packs import check_of_packs
from opslog.wiring.redaction import redactor_of
from opslog.wiring.running import background, notify_ready
from opslog.wiring.storing import Storing
from query.api.app import Dependencies, build_app
from query.api.http.server import ApiServer
from query.auth.access_audit import AccessEvent, Keep
from query.auth.access_records import batch_of
from query.auth.shared_state import SharedState
from storage.access.session_ends import SessionEnds
from storage.database.pool import DatabaseRole, open_pool
from storage.packs.store import store_at
from storage.record.classes import AUDIT, classify
from storage.redaction.redactor import Redactor
from storage.segments.catalogue import Catalogue
from storage.spool.framing import Framing
from storage.spool.spool import Spool
from storage.writing.batches import Batches

_FIRST_CONTACT_S = 10.0
_POLL_S = 0.02


async def serve(
    settings: Settings, stop: asyncio.Event, fd: int, name: str, health_port: int | None
) -> None:
    """Run until `stop` is set; `fd` is a listening socket."""
    installation = Installation(settings)
    installation.make_folders()
    redactor = redactor_of(installation)
    async with AsyncExitStack() as stack:
        storing = await stack.enter_async_context(
            Storing.open(installation, name, classes=(AUDIT,))
        )
        state = _shared_state(installation, name)
        pool, lookups = [
            await stack.enter_async_context(
                await open_pool(
                    installation.database_dsn(),
                    DatabaseRole.READER,
                    size=size,
                    statement_timeout_s=settings.api.statement_timeout_s,
                    name=f"opslog-{purpose}",
                    keeps_plans=purpose == "lookup",
                )
            )
            for purpose, size in (
                ("query", state.share(settings.api.pool_connections)),
                ("lookup", state.share(-(-settings.api.pool_connections // 2))),
            )
        ]
        canaries = Canaries(redactor)
        await stack.enter_async_context(background(canaries.run()))
        catalogue = Catalogue(installation.database_dsn())
        await stack.enter_async_context(background(catalogue.run()))
        batches = Batches(installation.database_dsn())
        await stack.enter_async_context(background(batches.run()))
        session_ends = SessionEnds(installation.database_dsn())
        await stack.enter_async_context(background(session_ends.run()))
        changes = await stack.enter_async_context(
            await open_pool(
                installation.database_dsn(), DatabaseRole.OWNER, size=2, name="opslog-changes"
            )
        )
        checks = {
            **{f"audit {part}": check for part, check in storing.checks().items()},
            "redaction": canaries.check,
        }
        app = build_app(
            settings,
            Dependencies(
                pool=pool,
                lookups=lookups,
                catalogue=catalogue,
                token_keys={
                    installation.secrets.jwt_key_id(): installation.secrets.jwt_public_key()
                },
                cursor_key=installation.secrets.cursor_key(),
                session_ends=session_ends,
                keep_access=_keeper_of_accesses(storing.spool, redactor),
                redact=lambda text: redactor.text(text)[0],
                stored_as=lambda name, value: str(redactor.value(name, value)[0]),
                notifications=batches,
                changes=changes,
                spools=installation.spool_root,
                preview_redaction=redactor.test,
                checks={
                    **checks,
                    **_process_checks(installation, name),
                    "packs": check_of_packs(installation.database_dsn(), settings),
                },
                state=state,
                packs=store_at(installation.packs_dir),
                version=__version__,
            ),
        )
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        api = ApiServer(runner, settings.api, state)
        listener = Listener(
            api,
            socket.socket(fileno=fd),
            TlsContext.of(settings.api),
            api.patience_s if state.processes > 1 else None,
        )
        await stack.enter_async_context(serving(installation, name, checks, health_port))
        with suppress(TimeoutError):  # an ended session must not be accepted meanwhile
            await asyncio.wait_for(session_ends.is_known.wait(), _FIRST_CONTACT_S)
        listener.start()
        await _first_contact(storing.spool)
        notify_ready()
        await stop.wait()
        await listener.close()


async def _first_contact(spool: Spool) -> None:
    """Wait some seconds for the spool's number: without it no access is recorded."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_CONTACT_S):
            while spool.identity.spool_id is None:  # noqa: ASYNC110 - at the start only
                await asyncio.sleep(_POLL_S)


def _keeper_of_accesses(spool: Spool, redactor: Redactor) -> Keep:
    framing = Framing(spool, classify)

    async def keep(event: AccessEvent) -> None:
        received_unix_ns = now_ns()
        frame = framing.frame(
            batch_of(event, redactor.attribute),
            batch_id=framing.next_batch_id(received_unix_ns),
            received_unix_ns=received_unix_ns,
            signal="audit",
        )
        await spool.append(frame)

    return keep


def _shared_state(installation: Installation, name: str) -> SharedState:
    """What it shares with the other query processes of this installation, if it is one of them."""
    names = installation.query_names
    if name not in names:
        return SharedState.alone()
    return SharedState.open(installation.query_state, names.index(name), len(names))


def _process_checks(installation: Installation, name: str) -> dict[str, Check]:
    """Checks of the other processes of this installation."""
    if not os.environ.get("OPSLOG_PROCESS"):
        return {}
    others = [other for other in installation.process_names if other != name]
    return {other: check_of(other, installation.health_socket(other)) for other in others}
