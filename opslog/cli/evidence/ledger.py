# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog ledger`: balance, keys, exports and proofs for auditors."""

import asyncio
import getpass
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from config.errors import SetupError
from opslog.cli.options import ConfigOption, echo_err
from opslog.client.record_lines import printable
from opslog.installation.opening import command_name, open_installation

if TYPE_CHECKING:
    from opslog.installation.installation import Installation
    from storage.database.roles import Connection, DatabaseRole
    from storage.ledger.accounting.balance import Balance

T = TypeVar("T")

app = typer.Typer(
    help="Ledger: check, key, export, proof, verifier, rotate, restored.", no_args_is_help=True
)


def run_in_database(
    installation: "Installation",
    work: "Callable[[Connection], Awaitable[T]]",
    role: "DatabaseRole | None" = None,
) -> T:
    """Run `work` in this installation's database, as a reader unless another role is given.

    Raises:
        SchemaBehind: the database has to be migrated first.
    """
    from opslog.wiring.database import connection, database
    from storage.database import migrate
    from storage.database.roles import DatabaseRole, take_role

    async def connect_and_run(dsn: str) -> T:
        async with connection(dsn) as conn:
            await migrate.require_current(conn)
            await take_role(conn, role or DatabaseRole.READER)
            return await work(conn)

    with database(installation, echo_err) as dsn:
        return asyncio.run(connect_and_run(dsn))


async def trusted_key(conn: "Connection", installation: "Installation") -> str:
    """The public key of evidence.pem with the name of this ledger.

    Raises:
        SetupError: the ledger has no entries yet.
    """
    from storage.ledger.tree.notes import public_bytes, verifier_key

    origin = await conn.fetchval("SELECT body::jsonb ->> 'origin' FROM ledger WHERE seq = 0")
    if origin is None:
        raise SetupError("the ledger is empty until opslog has run for the first time")
    return verifier_key(origin, public_bytes(installation.evidence_keys().current()))


@app.command()
def check(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON output.")] = False,
    config: ConfigOption = None,
) -> None:
    """Compare the ingest counters with the stored rows. Exit code 1 if they differ."""
    from storage.ledger.accounting.balance import balance
    from storage.packs.store import store_at

    installation = open_installation(config)
    found = run_in_database(
        installation,
        lambda conn: balance(conn, installation.spool_root, store_at(installation.packs_dir)),
    )
    print(json.dumps(_as_json(found)) if as_json else "\n".join(map(printable, _as_text(found))))
    if found.differences:
        raise typer.Exit(1)


@app.command()
def key(config: ConfigOption = None) -> None:
    """Print the public key that verifies the ledger. Keep a copy outside of opslog's reach."""
    installation = open_installation(config)
    print(run_in_database(installation, lambda conn: trusted_key(conn, installation)))


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="Output file, for instance evidence.jsonl.")],
    segment: Annotated[
        list[int] | None, typer.Option(help="Only rows of these segments, with the whole ledger.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Export ledger, heads and rows for the stand-alone verifier."""
    from storage.database.roles import DatabaseRole
    from storage.ledger.export import encoded
    from storage.ledger.export import export as write
    from storage.packs.store import store_at

    installation = open_installation(config)
    try:
        target = out.open("w", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write {out}: {error.strerror}", param_hint="OUT"
        ) from None
    with target as file:

        async def work(conn: "Connection") -> str:
            await write(
                conn,
                installation.heads_dir,
                lambda line: print(json.dumps(encoded(line)), file=file),
                segments=segment,
                store=store_at(installation.packs_dir),
            )
            return await trusted_key(conn, installation)

        shown = run_in_database(installation, work, DatabaseRole.OWNER)
    echo_err(f"verify it anywhere: {command_name()} ledger verifier > verify.py")
    echo_err(f"                    python verify.py {out} --key {shown}")


@app.command()
def proof(
    record: Annotated[str, typer.Argument(help="Id of the record.")], config: ConfigOption = None
) -> None:
    """Print the proof that a record is in the ledger, for the stand-alone verifier."""
    from uuid import UUID

    from storage.ledger.proof import proof_of
    from storage.packs.store import store_at

    try:
        wanted = UUID(record)
    except ValueError:
        raise typer.BadParameter(f"{record!r} is not a record id", param_hint="RECORD") from None
    installation = open_installation(config)
    store = store_at(installation.packs_dir)
    found = run_in_database(installation, lambda conn: proof_of(conn, wanted, store))
    if found is None:
        echo_err("no record has this id")
        raise typer.Exit(1)
    print(json.dumps({"proof": [found]}))


@app.command()
def verifier() -> None:
    """Print the stand-alone verifier, a Python script that does not need opslog."""
    from importlib.resources import files

    print(files("storage").joinpath("ledger", "verify.py").read_text("utf-8"), end="")


@app.command()
def rotate(config: ConfigOption = None) -> None:
    """Replace the signing key. Both keys sign the change; the old private key is destroyed."""
    from storage.database.roles import DatabaseRole
    from storage.ledger.entries import enter

    installation = open_installation(config)

    async def work(conn: "Connection") -> str:
        shown = await trusted_key(conn, installation)
        body = installation.evidence_keys().make_next(shown.partition("+")[0])
        await enter(conn, "key_rotate", body)
        return str(body["new"])

    print(run_in_database(installation, work, DatabaseRole.WRITER))


@app.command()
def restored(
    reason: Annotated[str, typer.Option(help="Why the backup was restored.", prompt=True)],
    config: ConfigOption = None,
) -> None:
    """Record that a backup was restored and resume signing; `verify` shows the gap."""
    from storage.database.roles import DatabaseRole
    from storage.ledger.entries import enter
    from storage.ledger.tree.heads import Heads

    installation = open_installation(config)
    published = Heads(installation.heads_dir).newest()

    async def work(conn: "Connection") -> bool:
        size = await conn.fetchval("SELECT count(*) FROM ledger")
        if published is None or published.size <= size:
            return False
        body = {"head": published.size, "by": getpass.getuser(), "reason": reason}
        await enter(conn, "restore", body)
        return True

    if not run_in_database(installation, work, DatabaseRole.WRITER):
        echo_err("nothing to record: the database has all published heads")
        raise typer.Exit(1)


def _as_json(found: "Balance") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(found)


def _as_text(found: "Balance") -> list[str]:
    lines = [f"{name:<12}{count:>16,}" for name, count in found.counters.items()]
    lines.append(f"{'stored rows':<12}{found.rows:>16,}  in {found.segments} segments")
    for spool in found.spools:
        quarantined = (
            f", {spool.quarantined} damaged frames ({spool.quarantined_rows} rows) quarantined"
            if spool.quarantined
            else ""
        )
        lines.append(f"{'spooled':<12}{spool.rows:>16,}  in {spool.spool}{quarantined}")
    lines += found.differences
    lines.append("NOT balanced" if found.differences else "balanced")
    return lines
