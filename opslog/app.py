"""Builds each process from settings: the only place where the rooms meet.

receiver   keys, codec and pipeline behind the OTLP port; spool and writer    (storing.py)
query      reader pool, catalogue and tokens behind the API; a spool for the access audit
worker     RQ worker over retention's jobs
scheduler  rq-scheduler with retention's times
"""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from aiohttp import web

from config.clock import now_ns
from config.health import Check
from config.listener import Listener as SocketListener
from config.settings import Settings
from config.tls import TlsContext
from opslog import __version__
from opslog.canaries import Canaries
from opslog.health import ask, serving
from opslog.installation import Installation
from opslog.roles import receiver_names
from opslog.running import run, say_ready
from opslog.stored_form import redactor_of
from opslog.storing import Storing
from otlp_receiver.audit import AuditIngest, ByKind
from otlp_receiver.codec import Codec
from otlp_receiver.explain import Explainer
from otlp_receiver.keys import KeyRing
from otlp_receiver.listener import Listener
from otlp_receiver.pipeline import Ingest
from otlp_receiver.routes import build_app as build_receiver
from query.access_audit import AccessEvent, Keep
from query.access_records import batch_of
from query.api.app import Parts
from query.api.app import build_app as build_query
from query.api.server import ApiServer
from storage.audit_records import AuditRecords
from storage.batches import Batches
from storage.catalogue import Catalogue
from storage.classes import AUDIT, classes_of, classifier, classify
from storage.framing import Framing
from storage.pool import DatabaseRole, open_pool
from storage.redaction.redactor import Redactor
from storage.session_ends import SessionEnds
from storage.spool.spool import Spool

_FIRST_CONTACT_S = 10.0
_LOOK_EVERY_S = 0.02


def run_receiver(
    settings: Settings,
    *,
    fd: int,
    name: str = "receiver-0",
    health_port: int | None = None,
) -> None:
    """One receiver, until it is told to end. `fd` is a listening socket."""
    run(settings, lambda stop: _receive(settings, stop, fd, name, health_port))


def run_query(settings: Settings, *, fd: int) -> None:
    """The query server, until it is told to end. `fd` is a listening socket."""
    run(settings, lambda stop: _answer(settings, stop, fd))


def run_worker(settings: Settings, *, health_port: int | None = None) -> None:
    """The RQ worker, until it is told to end."""
    from opslog import working  # noqa: PLC0415 - rq is slow to import, receivers do without

    working.run_worker(settings, health_port, say_ready)


def run_scheduler(settings: Settings, *, health_port: int | None = None) -> None:
    """The scheduler, until it is told to end."""
    from opslog import working  # noqa: PLC0415 - as above

    working.run_scheduler(settings, health_port, say_ready)


async def _receive(
    settings: Settings, stop: asyncio.Event, fd: int, name: str, health_port: int | None
) -> None:
    installation = Installation(settings)
    installation.make_folders()
    redactor = redactor_of(installation)
    canaries = Canaries(redactor)
    codec = Codec(redactor, settings.limits, settings.mapping)
    class_of = classifier(settings.retention)
    async with AsyncExitStack() as stack:
        storing = await stack.enter_async_context(
            Storing.open(installation, name, classes=classes_of(settings.retention))
        )
        keys = KeyRing(
            required=settings.otlp.asks_for_keys,
            snapshot=installation.spool_dir(name) / "ingest-keys.json",
        )
        keys.load_snapshot()
        await stack.enter_async_context(_beside(keys.run(storing.pool)))
        framing = Framing(storing.spool, class_of)
        audit = AuditIngest(codec.twin(), AuditRecords(storing.pool, storing.spool, framing))
        sink = ByKind(Ingest(codec, storing.spool, framing), audit)
        explainer = Explainer(codec.twin(), class_of, now_ns)
        server = build_receiver(settings.otlp, sink, keys, explainer)
        await stack.enter_async_context(_beside(canaries.run()))
        checks = {**storing.checks(), "redaction": canaries.check}
        await stack.enter_async_context(serving(installation, name, checks, health_port))
        _settle_garbage()
        listener = Listener(server, socket.socket(fileno=fd))
        listener.start()
        say_ready()
        await stop.wait()
        await listener.close()


def _settle_garbage() -> None:
    """What is here now stays; requests make many short-lived objects and hardly a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _answer(settings: Settings, stop: asyncio.Event, fd: int) -> None:
    installation = Installation(settings)
    installation.make_folders()
    redactor = redactor_of(installation)
    async with AsyncExitStack() as stack:
        storing = await stack.enter_async_context(
            Storing.open(installation, "query", classes=(AUDIT,))
        )
        pool, lookups = [
            await stack.enter_async_context(
                await open_pool(
                    installation.database_dsn(),
                    DatabaseRole.READER,
                    size=size,
                    statement_timeout_s=settings.api.statement_timeout_s,
                    name=f"opslog-{name}",
                    keeps_plans=name == "lookup",
                )
            )
            for name, size in (
                ("query", settings.api.pool_connections),
                ("lookup", -(-settings.api.pool_connections // 2)),
            )
        ]
        canaries = Canaries(redactor)
        await stack.enter_async_context(_beside(canaries.run()))
        catalogue = Catalogue(installation.database_dsn())
        await stack.enter_async_context(_beside(catalogue.run()))
        batches = Batches(installation.database_dsn())
        await stack.enter_async_context(_beside(batches.run()))
        session_ends = SessionEnds(installation.database_dsn())
        await stack.enter_async_context(_beside(session_ends.run()))
        changes = await stack.enter_async_context(
            await open_pool(
                installation.database_dsn(), DatabaseRole.OWNER, size=2, name="opslog-changes"
            )
        )
        app = build_query(
            settings,
            Parts(
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
                news=batches,
                changes=changes,
                spools=installation.spool_root,
                trial=redactor.test,
                checks={**_house_checks(installation, storing), "redaction": canaries.check},
                version=__version__,
            ),
        )
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        api = ApiServer(runner, settings.api)
        listener = SocketListener(api, socket.socket(fileno=fd), TlsContext.of(settings.api))
        with suppress(TimeoutError):  # a session that was ended must not come back meanwhile
            await asyncio.wait_for(session_ends.is_known.wait(), _FIRST_CONTACT_S)
        listener.start()
        await _first_contact(storing.spool)
        say_ready()
        await stop.wait()
        await listener.close()


async def _first_contact(spool: Spool) -> None:
    """Until the spool has its number, or for some seconds: without it no access is recorded."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_CONTACT_S):
            while spool.identity.spool_id is None:  # noqa: ASYNC110 - at the start only
                await asyncio.sleep(_LOOK_EVERY_S)


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


def _house_checks(installation: Installation, storing: Storing) -> dict[str, Check]:
    """Our own spool, and what the other processes of this house say of themselves."""
    checks = {f"audit {name}": check for name, check in storing.checks().items()}
    if os.environ.get("OPSLOG_PROCESS"):
        for name in (*receiver_names(installation.settings), "worker", "scheduler"):
            checks[name] = ask(name, installation.health_socket(name))
    return checks


@asynccontextmanager
async def _beside(work: Awaitable[None]) -> AsyncIterator[None]:
    """Runs something beside the rest, and ends it."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
