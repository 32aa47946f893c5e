"""The common frame of every process: log, event loop, signals, readiness notification."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from config.process import logs
from config.process.machine import disable_memory_dumps
from config.settings import Settings
from opslog.wiring.watchdog import Watchdog
from storage import failpoints

_log = logging.getLogger(__name__)

Work = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then shuts down cleanly."""


def run(settings: Settings, work: Work) -> None:
    """Run `work` in an event loop until SIGTERM or SIGINT; a second signal stops immediately."""
    disable_memory_dumps()
    logs.set_up(settings.log)
    failpoints.configure(os.environ.get("OPSLOG_FAILPOINTS", ""))
    # A thread that finishes a sync waits for the interpreter at most this long.
    sys.setswitchinterval(0.001)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_until_signal(work))


async def _until_signal(work: Work) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        _log.info("%s: shutting down; send it again to stop immediately", number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    watchdog = Watchdog(loop)
    watchdog.start()
    try:
        await work(stop)
    finally:
        watchdog.stop()


@asynccontextmanager
async def background(work: Awaitable[None]) -> AsyncIterator[None]:
    """Run a coroutine in the background within the block."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def notify_ready() -> None:
    """Notify the supervisor, if there is one, that this process is ready."""
    descriptor = os.environ.pop("OPSLOG_READY_FD", "")
    if descriptor:
        os.write(int(descriptor), b"READY=1\n")
        os.close(int(descriptor))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Factory of uvloop's event loops if it is installed; else None, for asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - an optional extra
    except ImportError:
        return None
    return uvloop.new_event_loop
