# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog migrate`: the schema of the database."""

import asyncio
from typing import Annotated

import typer

from opslog.cli.options import ConfigOption, echo_err
from opslog.installation.opening import open_installation

app = typer.Typer(help="The schema of the database: status, up.", no_args_is_help=True)


@app.command()
def status(config: ConfigOption = None) -> None:
    """Show which migrations the database has, and which it lacks. Exit code 1 if any."""
    from opslog.wiring.database import connection, database
    from storage.database import migrate

    async def ask(dsn: str) -> migrate.Status:
        async with connection(dsn) as conn:
            return await migrate.status(conn)

    with database(open_installation(config), echo_err) as dsn:
        found = asyncio.run(ask(dsn))
    for applied in found.applied:
        print(f"applied  {applied.name:<32} {applied.applied_at:%Y-%m-%d %H:%M:%SZ}")
    for pending in found.pending:
        print(f"pending  {pending.name}")
    if found.pending:
        raise typer.Exit(1)


@app.command()
def up(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only echo_err what would be done.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Apply what is missing. `opslog up` does this by itself at its start."""
    from opslog.wiring.database import connection, database
    from storage.database import migrate

    async def apply(dsn: str) -> migrate.Report:
        async with connection(dsn) as conn:
            return await migrate.up(conn, dry_run=dry_run)

    with database(open_installation(config), echo_err) as dsn:
        report = asyncio.run(apply(dsn))
    for migration in report.migrations:
        echo_err(f"{'would apply' if dry_run else 'applied'} {migration.name}")
    for finding in report.findings:
        echo_err(f"{finding.what}\n  why:  {finding.why}\n  fix: {finding.fix}")
    if not report.migrations:
        echo_err("the schema is up to date")
