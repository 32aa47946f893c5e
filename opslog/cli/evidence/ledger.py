# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog ledger`: does it balance, who signs, exports and proofs for an auditor."""

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
    help="The ledger: check, key, export, proof, verifier, rotate, restored.", no_args_is_help=True
)


def ask(
    installation: "Installation",
    read: "Callable[[Connection], Awaitable[T]]",
    role: "DatabaseRole | None" = None,
) -> T:
    """Runs the read in this installation's database, as a reader unless another role is named.

    Raises:
        SchemaBehind: the database has to be migrated first.
    """
    from opslog.wiring.database import connection, database
    from storage.database import migrate
    from storage.database.roles import DatabaseRole, take_role

    async def work(dsn: str) -> T:
        async with connection(dsn) as conn:
            await migrate.require_current(conn)
            await take_role(conn, role or DatabaseRole.READER)
            return await read(conn)

    with database(installation, echo_err) as dsn:
        return asyncio.run(work(dsn))


async def trusted_key(conn: "Connection", installation: "Installation") -> str:
    """The public key of evidence.pem under the name of this ledger.

    Raises:
        SetupError: the ledger has no entries yet.
    """
    from storage.ledger.tree.notes import public_bytes, verifier_key

    origin = await conn.fetchval("SELECT body::jsonb ->> 'origin' FROM ledger WHERE seq = 0")
    if origin is None:
        raise SetupError("the ledger is empty: it begins when opslog runs for the first time")
    return verifier_key(origin, public_bytes(installation.evidence_keys().current()))


@app.command()
def check(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    config: ConfigOption = None,
) -> None:
    """Compare what came with what is there: counts every row. Exit code 1 and the differences."""
    from storage.ledger.accounting.balance import balance

    installation = open_installation(config)
    found = ask(installation, lambda conn: balance(conn, installation.spool_root))
    print(json.dumps(_as_json(found)) if as_json else "\n".join(map(printable, _in_words(found))))
    if found.differences:
        raise typer.Exit(1)


@app.command()
def key(config: ConfigOption = None) -> None:
    """Print the public key that verifies the ledger: keep a copy where opslog cannot reach it."""
    installation = open_installation(config)
    print(ask(installation, lambda conn: trusted_key(conn, installation)))


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File to write, for instance evidence.jsonl.")],
    segment: Annotated[
        list[int] | None, typer.Option(help="Rows of these segments only; the ledger is whole.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write everything that the stand-alone verifier needs: ledger, heads, rows."""
    from storage.ledger.export import encoded
    from storage.ledger.export import export as write

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
            )
            return await trusted_key(conn, installation)

        shown = ask(installation, work)
    echo_err(f"check it anywhere: {command_name()} ledger verifier > verify.py")
    echo_err(f"                   python verify.py {out} --key {shown}")


@app.command()
def proof(
    record: Annotated[str, typer.Argument(help="Id of the record.")], config: ConfigOption = None
) -> None:
    """Print the proof that a record is in the ledger; the stand-alone verifier checks it."""
    from uuid import UUID

    from storage.ledger.proof import proof_of

    try:
        wanted = UUID(record)
    except ValueError:
        raise typer.BadParameter(f"{record!r} is no id", param_hint="RECORD") from None
    found = ask(open_installation(config), lambda conn: proof_of(conn, wanted))
    if found is None:
        echo_err("there is no record with this id")
        raise typer.Exit(1)
    print(json.dumps({"proof": [found]}))


@app.command()
def verifier() -> None:
    """Print the stand-alone verifier: one Python file that needs nothing of opslog."""
    from importlib.resources import files

    print(files("storage").joinpath("ledger", "verify.py").read_text("utf-8"), end="")


@app.command()
def rotate(config: ConfigOption = None) -> None:
    """Let a new key sign from now on; both sign that, and the old private key is destroyed."""
    from storage.database.roles import DatabaseRole
    from storage.ledger.entries import enter

    installation = open_installation(config)

    async def work(conn: "Connection") -> str:
        shown = await trusted_key(conn, installation)
        body = installation.evidence_keys().make_next(shown.partition("+")[0])
        await enter(conn, "key_rotate", body)
        return str(body["new"])

    print(ask(installation, work, DatabaseRole.WRITER))


@app.command()
def restored(
    reason: Annotated[str, typer.Option(help="Why an older database was put back.", prompt=True)],
    config: ConfigOption = None,
) -> None:
    """Say that an older database was restored, so that it is signed again; verify shows the gap."""
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

    if not ask(installation, work, DatabaseRole.WRITER):
        echo_err("nothing to echo_err: no head was published that the database does not have")
        raise typer.Exit(1)


def _as_json(found: "Balance") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(found)


def _in_words(found: "Balance") -> list[str]:
    lines = [f"{name:<12}{count:>16,}" for name, count in found.figures.items()]
    lines.append(f"{'rows there':<12}{found.rows:>16,}  in {found.segments} segments")
    for spool in found.spools:
        aside = (
            f", {spool.quarantined} damaged frames ({spool.quarantined_rows} rows) set aside"
            if spool.quarantined
            else ""
        )
        lines.append(f"{'spooled':<12}{spool.rows:>16,}  in {spool.spool}{aside}")
    lines += found.differences
    lines.append("does NOT balance" if found.differences else "balances")
    return lines
