"""Merging: combines the small packs of a quiet class.

Reading hundreds of nearly empty packs costs more than reading their rows. A merged pack spans at
most a tenth of its class's retention period, so records expire little later.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta

from config.settings import Settings
from retention.packing.files import unlink_orphans
from retention.packing.places import store_to_write
from retention.packing.rewriting import ContentMismatch
from retention.policy.catalogue import policies_in_force, stored_segments
from retention.policy.plan import Stored
from retention.policy.rules import Policy
from retention.safety.locks import held
from retention.segments.retire import drop_retiring
from retention.segments.rewrite import merge
from retention.segments.runs import Report, Run
from storage.database.locks import RETENTION_SPACE
from storage.database.pool import DatabaseRole, connect
from storage.packs.errors import PackDamaged
from storage.packs.store import PacksUnavailable
from storage.segments.dropping import TablesBusy

_log = logging.getLogger(__name__)

LEAST = 4
"""Fewer are not worth rewriting."""
MOST = 400
"""Most packs that become one."""
MOST_ROWS = 1_000_000
"""Of a merged pack."""
SPAN = 10
"""A merged segment spans at most one part in this many of its class's retention period."""


async def merge_all(
    dsn: str, settings: Settings, *, trigger: str, longest_s: float = 1800.0
) -> Report:
    """Merge small segments, group by group, for about `longest_s` at most."""
    until_s = time.monotonic() + longest_s
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-merger")
    try:
        async with held(connection, RETENTION_SPACE) as is_ours:
            if not is_ours:
                return Report("skipped", note="another retention job is running")
            try:
                store = await store_to_write(connection, settings)
            except PacksUnavailable as error:
                return Report("done", note=str(error))
            await unlink_orphans(connection, store)
            segments = await stored_segments(connection)
            found = await policies_in_force(connection, settings.retention, segments)
            planned = groups(segments, found, MOST_ROWS)
            if not planned:
                return Report("done", note="nothing to merge")
            run = await Run.begin(connection, "merge", trigger, found)
            notes: list[str] = []
            for group in planned:
                if time.monotonic() > until_s:
                    break
                try:
                    rule = found[group[0].class_name].rule
                    await merge(connection, store, run, group, rule, deadline_s=until_s)
                except (ContentMismatch, PackDamaged, TablesBusy) as error:
                    notes.append(f"class {group[0].class_name}: {error}")
                    _log.warning("merging: %s", notes[-1])
            await drop_retiring(connection, store, run, found, deadline_s=until_s)
            await run.end("done", "; ".join(notes))
            return Report("done", run.run_id, run.segments, run.rows, run.size, "; ".join(notes))
    except TablesBusy as error:
        return Report("stopped", note=str(error))
    finally:
        await connection.close()


def groups(
    segments: Iterable[Stored], policies: Mapping[str, Policy], most_rows: int
) -> list[list[Stored]]:
    """Groups of adjacent segments to merge, by class. Pure."""
    by_class: dict[tuple[str, bool], list[Stored]] = {}
    for stored in segments:
        if stored.state == "packed" and stored.oldest and stored.class_name in policies:
            by_class.setdefault((stored.class_name, stored.is_hold), []).append(stored)
    found = []
    for (name, _), members in sorted(by_class.items()):
        members.sort(key=lambda stored: (stored.oldest, stored.segment))
        longest = policies[name].keep / SPAN
        found += [each for each in _runs(members, longest, most_rows) if _is_worth_it(each)]
    return found


def _runs(members: list[Stored], longest: timedelta, most_rows: int) -> Iterable[list[Stored]]:
    group: list[Stored] = []
    for stored in members:
        if group and not _fits(group, stored, longest, most_rows):
            yield group
            group = []
        group.append(stored)
    yield group


def _fits(group: list[Stored], stored: Stored, longest: timedelta, most_rows: int) -> bool:
    together = [*group, stored]
    newest = max(each.newest for each in together if each.newest)
    oldest = min(each.oldest for each in together if each.oldest)
    return (
        len(group) < MOST
        and sum(each.rows for each in together) <= most_rows
        and newest - oldest <= longest
    )


def _is_worth_it(group: list[Stored]) -> bool:
    """Enough segments, and none so large that rewriting it would gain little."""
    largest = max((each.rows for each in group), default=0)
    return len(group) >= LEAST and sum(each.rows for each in group) >= 2 * largest
