# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog retention`: plan, run without a queue, history, status."""

import getpass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from config.units import duration_s, size_text
from opslog.cli.connecting import as_json, table, when, with_connection, with_dsn
from opslog.cli.options import ConfigOption, amount
from opslog.client.record_lines import printable_lines

if TYPE_CHECKING:
    from opslog.installation.installation import Installation
    from retention.reporting.forecast import Forecast
    from retention.reporting.history import PastRun
    from retention.reporting.status import Status
    from retention.segments.runs import Report
    from storage.database.roles import Connection

app = typer.Typer(help="Retention: plan, run, history, status.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON output.")]
_UNFINISHED = 75


@app.command()
def plan(
    *,
    within: Annotated[str, typer.Option(help="Also show what expires within this time.")] = "7d",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what the next run removes under the current settings; changes nothing.

    Edit retention.rules in opslog.toml, check the plan, then restart opslog.
    """
    from retention.reporting.forecast import forecast

    now = datetime.now(UTC)
    until = now + timedelta(seconds=amount(duration_s, within, "--within") or 0)

    async def read(conn: "Connection", found: "Installation") -> "Forecast":
        return await forecast(conn, found.settings, now)

    seen = with_connection(config, read)
    print(_plan_json(seen, until) if json else _plan_text(seen, until))


@app.command()
def run(
    *,
    trust_clock: Annotated[
        bool, typer.Option("--trust-clock", help="Confirm that the clock is right.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Remove expired records now, without Redis. Exit code 75: the next run continues."""
    from retention.expiry.run import expire

    async def work(dsn: str, found: "Installation") -> "Report":
        return await expire(
            dsn, found.settings, trigger=f"{getpass.getuser()} (cli)", trust_clock=trust_clock
        )

    report = with_dsn(config, work)
    print(
        f"{report.outcome}: {report.segments:,} segments, {report.rows:,} rows,"
        f" {size_text(report.size)}" + (f" ({report.note})" if report.note else "")
    )
    if report.outcome != "done":
        raise typer.Exit(_UNFINISHED)


@app.command()
def history(
    *,
    most: Annotated[
        int, typer.Option("--most", min=1, max=1000, help="Maximum number of runs.")
    ] = 20,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show past runs, newest first: rule, segments, rows, bytes, root hashes."""
    from retention.reporting.history import runs

    async def read(conn: "Connection", _: "Installation") -> "list[PastRun]":
        return await runs(conn, most=most)

    found = with_connection(config, read)
    print(_history_json(found) if json else printable_lines(_history_text(found)))


@app.command()
def status(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show each class with its rule, and the packing backlog. Exit code 1 on a problem."""
    from retention.reporting.status import status_of

    async def read(conn: "Connection", found: "Installation") -> "Status":
        return await status_of(conn, found.settings, datetime.now(UTC))

    found = with_connection(config, read)
    print(_status_json(found) if json else _status_text(found))
    if found.problems:
        raise typer.Exit(1)


def _plan_text(seen: "Forecast", until: datetime) -> str:
    from config.retention import period_text

    found = seen.plan
    lines = [
        f"{change.now.class_name}: kept {period_text(change.now.keep)} by {change.now.rule}, "
        f"was {period_text(change.before.keep)} by {change.before.rule}"
        for change in seen.changes
    ]
    soon = [step for step in found.later if step.due_at <= until]
    rows = [
        [
            step.stored.segment,
            step.stored.class_name,
            step.rule,
            "next run" if step.due_at <= found.now else when(step.due_at),
            step.action.value,
            step.stored.rows - step.held_rows,
            size_text(step.stored.size),
            step.held_rows,
        ]
        for step in (*found.steps, *soon)
    ]
    head = ["segment", "class", "rule", "due", "action", "rows", "size", "held rows"]
    lines.append(table(head, rows) if rows else f"nothing is due until {when(until)}")
    lines.append(
        f"next run: {len(found.removals):,} segments, {found.rows:,} rows, {size_text(found.size)}"
    )
    lines += [
        f"no rule covers class {name}: it grows without limit" for name in found.without_policy
    ]
    return "\n".join(lines)


def _plan_json(seen: "Forecast", until: datetime) -> str:
    steps = [*seen.plan.steps, *(step for step in seen.plan.later if step.due_at <= until)]
    return as_json(
        [
            {
                "segment": step.stored.segment,
                "class": step.stored.class_name,
                "rule": step.rule,
                "due_at": step.due_at.isoformat(),
                "action": step.action.value,
                "rows": step.stored.rows - step.held_rows,
                "bytes": step.stored.size,
                "held_rows": step.held_rows,
            }
            for step in steps
        ]
    )


def _history_text(found: "list[PastRun]") -> str:
    if not found:
        return "no runs yet"
    lines = []
    for past in found:
        lines.append(
            f"{past.run_id}  {when(past.began_at)}  {past.kind}, {past.outcome}, trigger "
            f"{past.trigger}: {past.segments:,} segments, {past.rows:,} rows, "
            f"{size_text(past.size)}" + (f" ({past.note})" if past.note else "")
        )
        for step in past.steps:
            to = f" -> {step.to_segment} ({step.kept_rows:,} rows)" if step.to_segment else ""
            root = f" {step.root.hex()[:16]}" if step.root else ""
            lines.append(
                f"    {step.action} {step.segment} ({step.class_name}, {step.rule}): "
                f"{step.rows:,} rows, {size_text(step.size)}{root}{to}"
            )
    return "\n".join(lines)


def _history_json(found: "list[PastRun]") -> str:
    return as_json(
        [
            {
                "id": past.run_id,
                "kind": past.kind,
                "trigger": past.trigger,
                "began_at": past.began_at.isoformat(),
                "outcome": past.outcome,
                "note": past.note,
                "steps": [
                    {
                        "segment": step.segment,
                        "class": step.class_name,
                        "action": step.action,
                        "rule": step.rule,
                        "rows": step.rows,
                        "bytes": step.size,
                        "root": step.root.hex() if step.root else None,
                        "to_segment": step.to_segment,
                        "kept_rows": step.kept_rows,
                    }
                    for step in past.steps
                ],
            }
            for past in found
        ]
    )


def _status_text(found: "Status") -> str:
    from config.retention import period_text

    rows = [
        [
            each.class_name,
            each.policy.rule if each.policy else "none",
            period_text(each.policy.keep) if each.policy else "for ever",
            each.segments,
            each.rows,
            size_text(each.size),
            when(each.oldest),
            when(each.due_at),
            f"{each.overdue.total_seconds() / 3600:.0f}h" if each.overdue else "-",
        ]
        for each in found.classes
    ]
    head = ["class", "rule", "keep", "segments", "rows", "size", "oldest", "due", "overdue"]
    backlog = found.backlog
    lines = [
        table(head, rows),
        (
            f"packing backlog: {backlog.rows:,} rows in {backlog.segments:,} segments, about "
            f"{backlog.seconds:.0f} s"
        ),
        f"last run: {when(found.last_run)}",
        *found.problems,
    ]
    return "\n".join(lines)


def _status_json(found: "Status") -> str:
    backlog = found.backlog
    return as_json(
        {
            "classes": [
                {
                    "class": each.class_name,
                    "rule": each.policy.rule if each.policy else None,
                    "keep_s": each.policy.keep.total_seconds() if each.policy else None,
                    "segments": each.segments,
                    "rows": each.rows,
                    "bytes": each.size,
                    "disk_bytes": each.disk_bytes,
                    "oldest": each.oldest.isoformat() if each.oldest else None,
                    "due_at": each.due_at.isoformat() if each.due_at else None,
                    "overdue_s": each.overdue.total_seconds(),
                }
                for each in found.classes
            ],
            "backlog": {
                "segments": backlog.segments,
                "rows": backlog.rows,
                "seconds": backlog.seconds,
            },
            "last_run": found.last_run.isoformat() if found.last_run else None,
            "problems": found.problems,
        }
    )
