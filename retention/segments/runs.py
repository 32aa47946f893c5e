"""The record of runs: what a job removed or moved, by which rule, for `retention history`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from retention.policy.catalogue import policies_text
from retention.policy.rules import Policy
from storage.database.connection import Connection
from storage.database.statements import statement

CATCH_UP, RETRY = "catching up", "going on"
"""Triggers of runs outside the schedule, as stored in retention_runs.asked_by."""


@dataclass(frozen=True, slots=True)
class Done:
    """One step: what was done to a segment."""

    segment: int
    class_name: str
    action: str
    """retire, merge or purge."""
    rule: str
    rows: int
    size: int
    root: bytes | None
    newest: datetime | None
    to_segment: int | None = None
    kept_rows: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a run."""

    outcome: str
    """done; stopped: the next run continues; skipped: another one was running."""
    run_id: int = 0
    segments: int = 0
    rows: int = 0
    size: int = 0
    note: str = ""


class Run:
    """One run of a job, with its row in retention_runs."""

    def __init__(self, connection: Connection, run_id: int) -> None:
        self._connection = connection
        self.run_id = run_id
        self.segments = 0
        self.rows = 0
        self.size = 0

    @classmethod
    async def begin(
        cls, connection: Connection, kind: str, trigger: str, found: Mapping[str, Policy]
    ) -> "Run":
        """Start a run. The caller holds the lock, so any run still marked running has crashed."""
        await connection.execute(statement("end_broken_runs"))
        run_id: int = await connection.fetchval(
            statement("begin_run"), kind, trigger, policies_text(found)
        )
        return cls(connection, run_id)

    async def add(self, *done: Done, through: "Connection | None" = None) -> None:
        """Add steps, in the transaction of the change, which may use another connection."""
        await (through or self._connection).executemany(
            statement("add_step"),
            [
                (
                    self.run_id,
                    each.segment,
                    each.class_name,
                    each.action,
                    each.rule,
                    each.rows,
                    each.size,
                    each.root,
                    each.to_segment,
                    each.kept_rows,
                    each.newest,
                )
                for each in done
            ],
        )

    async def count(self) -> None:
        """Update `segments`, `rows` and `size` from the committed steps."""
        row = await self._connection.fetchrow(statement("run_sums"), self.run_id)
        assert row is not None
        self.segments, self.rows, self.size = row["segments"], row["rows"], row["size"]

    async def end(self, outcome: str, note: str = "") -> None:
        """End the run as `done`, or `stopped` with the reason."""
        await self._connection.execute(statement("end_run"), self.run_id, outcome, note)
        await self.count()
