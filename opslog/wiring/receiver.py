"""Builds a receiver: keys, codec and pipeline behind the OTLP port; spool and writer."""

import asyncio
import gc
import socket
from contextlib import AsyncExitStack

from config.process.clock import now_ns
from config.settings import Settings
from opslog.installation.installation import Installation
from opslog.wiring.canaries import Canaries
from opslog.wiring.health import serving
from opslog.wiring.redaction import redactor_of
from opslog.wiring.running import background, notify_ready
from opslog.wiring.storing import Storing
from otlp_receiver.admission.keys import KeyRing
from otlp_receiver.audit import AuditIngest, AuditRouter
from otlp_receiver.codec import Codec
from otlp_receiver.explain import Explainer
from otlp_receiver.http.listener import Listener
from otlp_receiver.http.routes import build_app
from otlp_receiver.pipeline import Ingest
from storage.record.classes import classes_of, classifier
from storage.spool.framing import Framing
from storage.writing.audit_records import AuditRecords


async def receive(
    settings: Settings, stop: asyncio.Event, fd: int, name: str, health_port: int | None
) -> None:
    """Run until `stop` is set; `fd` is a listening socket."""
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
            required=settings.otlp.requires_keys,
            snapshot=installation.spool_dir(name) / "ingest-keys.json",
        )
        keys.load_snapshot()
        await stack.enter_async_context(background(keys.run(storing.pool)))
        framing = Framing(storing.spool, class_of)
        audit = AuditIngest(codec.twin(), AuditRecords(storing.pool, storing.spool, framing))
        sink = AuditRouter(Ingest(codec, storing.spool, framing), audit)
        explainer = Explainer(codec.twin(), class_of, now_ns)
        server = build_app(settings.otlp, sink, keys, explainer)
        await stack.enter_async_context(background(canaries.run()))
        checks = {**storing.checks(), "redaction": canaries.check}
        await stack.enter_async_context(serving(installation, name, checks, health_port))
        _tune_gc()
        listener = Listener(server, socket.socket(fileno=fd))
        listener.start()
        notify_ready()
        await stop.wait()
        await listener.close()


def _tune_gc() -> None:
    """Freeze the objects made so far, and collect less often: requests create few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
