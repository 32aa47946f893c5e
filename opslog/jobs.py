"""Jobs under the names stored in Redis (retention/jobs/queue.py); a few lines each, no logic.

They run in a process of their own that the worker forked. SIGTERM cancels what is being done:
PostgreSQL is told to stop its statement, and the next job goes on from there.
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
from retention.segments.merge import merge_all
from storage.ledger.accounting import checks
from storage.ledger.accounting.balance import Balance

SCHEDULE = "schedule"

_log = logging.getLogger(__name__)


def prune() -> str:
    """Drop expired segments: once a day."""
    installation = _installation()
    work = expire(installation.database_dsn(), installation.settings, trigger=SCHEDULE)
    return _run(work)


def tend() -> str:
    """Seal, finish what was begun, catch up: every half minute."""
    installation = _installation()
    return _run(maintain(installation.database_dsn(), installation.settings))


def merge() -> str:
    """Merge small segments: some times a day."""
    installation = _installation()
    work = merge_all(installation.database_dsn(), installation.settings, trigger=SCHEDULE)
    return _run(work)


def check() -> str:
    """Compare the figures of ingest with counted rows: every hour."""
    installation = _installation()
    work = checks.check(installation.database_dsn(), installation.spool_root)
    return _run(_in_words(work))


async def _in_words(work: Coroutine[Any, Any, Balance]) -> str:
    found = await work
    return f"{found.rows} rows, {len(found.differences)} differences"


def _installation() -> Installation:
    return Installation(load(os.environ).settings)


def _run(work: Coroutine[Any, Any, object]) -> str:
    """Its outcome in words, which is what RQ keeps of it."""

    async def cancellable() -> object:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return str(asyncio.run(cancellable()))
    except asyncio.CancelledError:
        _log.info("interrupted; the next job goes on")
        return "interrupted"
