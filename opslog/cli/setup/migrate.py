# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog migrate`: the database schema."""

import asyncio
from typing import Annotated

import typer

from opslog.cli.options import ConfigOption, echo_err
from opslog.installation.opening import open_installation

app = typer.Typer(help="Database schema: status, up.", no_args_is_help=True)


@app.command()
def status(config: ConfigOption = None) -> None:
    """List applied and pending migrations. Exit code 1 if any is pending."""
    from opslog.wiring.database import connection, database
    from storage.database import migrate

    async def read(dsn: str) -> migrate.Status:
        async with connection(dsn) as conn:
            return await migrate.status(conn)

    with database(open_installation(config), echo_err) as dsn:
        found = asyncio.run(read(dsn))
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
        bool, typer.Option("--dry-run", help="Show pending migrations without applying them.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Apply pending migrations. `opslog up` does this automatically at its start."""
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
        echo_err(f"{finding.what}\n  reason: {finding.reason}\n  fix: {finding.fix}")
    if not report.migrations:
        echo_err("the schema is up to date")
