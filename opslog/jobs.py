"""Jobs under the names stored in Redis (retention/jobs/queue.py); thin wrappers without logic.

Each runs in a process forked by the worker. SIGTERM cancels the current statement in PostgreSQL,
and the next job continues from there.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

from config.loading.load import load
from opslog.installation.installation import Installation
from retention.expiry.run import expire
from retention.jobs.maintain import maintain
from retention.packing.run import pack_all
from retention.segments.merge import merge_all
from storage.ledger.accounting import checks
from storage.ledger.accounting.balance import Balance

SCHEDULE = "schedule"

_log = logging.getLogger(__name__)


def prune() -> str:
    """Drop expired segments, once a day."""
    installation = _installation()
    work = expire(installation.database_dsn(), installation.settings, trigger=SCHEDULE)
    return _run(work)


def tend() -> str:
    """Run maintenance every 30 s; the name is stored in Redis."""
    installation = _installation()
    return _run(maintain(installation.database_dsn(), installation.settings))


def merge() -> str:
    """Merge small segments, every six hours."""
    installation = _installation()
    work = merge_all(installation.database_dsn(), installation.settings, trigger=SCHEDULE)
    return _run(work)


def pack() -> str:
    """Pack closed segments, every few seconds; from the queue of the packers."""
    installation = _installation()
    return _run(pack_all(installation.database_dsn(), installation.settings))


def check() -> str:
    """Compare the ingest counters with counted rows, every hour."""
    installation = _installation()
    packs = installation.packs_dir
    work = checks.check(installation.database_dsn(), installation.spool_root, packs)
    return _run(_summary(work))


async def _summary(work: Coroutine[Any, Any, Balance]) -> str:
    found = await work
    return f"{found.rows} rows, {len(found.differences)} differences"


def _installation() -> Installation:
    return Installation(load(os.environ).settings)


def _run(work: Coroutine[Any, Any, object]) -> str:
    """Run it; the returned text is what RQ stores as the result."""

    async def cancellable() -> object:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return str(asyncio.run(cancellable()))
    except asyncio.CancelledError:
        _log.info("interrupted; the next job continues")
        return "interrupted"
