# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog dead-letters`: rows that PostgreSQL rejected."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from opslog.cli.evidence.ledger import run_in_database
from opslog.cli.options import ConfigOption, echo_err
from opslog.client.record_lines import printable, readable_json
from opslog.installation.opening import open_installation

if TYPE_CHECKING:
    from storage.database.roles import Connection
    from storage.writing.replaying import Outcome

app = typer.Typer(
    help="Rows rejected by the database: list, show, replay, discard.", no_args_is_help=True
)
_STATES = ("waiting", "replayed", "discarded")
Number = Annotated[int, typer.Argument(help="Number, as shown by `list`.")]


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="State: waiting, replayed or discarded.")] = "waiting",
    limit: Annotated[int, typer.Option(help="Maximum number to show.", min=1)] = 100,
    config: ConfigOption = None,
) -> None:
    """List dead letters, oldest first: number, arrival, class, reason."""
    from storage.writing.replaying import letters

    if state not in _STATES:
        raise typer.BadParameter(
            f"unknown state {state!r}; use one of {', '.join(_STATES)}", param_hint="--state"
        )
    found = run_in_database(
        open_installation(config), lambda conn: letters(conn, state=state, limit=limit)
    )
    if not found:
        echo_err(f"no {state} dead letters")
    for row in found:
        print(
            f"{row['dead_letter_id']:>8}  {row['received_at']:%Y-%m-%d %H:%M:%S}Z  "
            f"{row['class']:<10} {row['sqlstate']}  {printable(row['reason'])}"
        )


@app.command()
def show(number: Number, config: ConfigOption = None) -> None:
    """Show a dead letter with its (redacted) row as JSON."""
    from storage.writing.replaying import contents

    found = run_in_database(open_installation(config), lambda conn: contents(conn, number))
    print(readable_json(found))


@app.command()
def replay(
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Numbers; default: all waiting.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Store dead letters after the cause was fixed. Exit code 1 if one is rejected again."""
    from storage.database.roles import DatabaseRole
    from storage.writing import replaying

    async def work(conn: "Connection") -> "list[tuple[int, Outcome]]":
        wanted = list(numbers or [])
        if not wanted:
            rows = await replaying.letters(conn, limit=1_000_000)
            wanted = [row["dead_letter_id"] for row in rows]
        by = getpass.getuser()
        return [(number, await replaying.replay(conn, number, by=by)) for number in wanted]

    done = run_in_database(open_installation(config), work, DatabaseRole.WRITER)
    if not done:
        echo_err("no waiting dead letters")
    for number, outcome in done:
        echo_err(f"{number}: {'stored' if outcome.stored else 'rejected again: ' + outcome.reason}")
    if not all(outcome.stored for _, outcome in done):
        raise typer.Exit(1)


@app.command()
def discard(
    number: Number,
    reason: Annotated[str, typer.Option(help="Reason, recorded in the ledger.", prompt=True)],
    config: ConfigOption = None,
) -> None:
    """Discard a dead letter. User and reason are recorded in the ledger."""
    from storage.database.roles import DatabaseRole
    from storage.writing import replaying

    by = getpass.getuser()
    run_in_database(
        open_installation(config),
        lambda conn: replaying.discard(conn, number, by=by, reason=reason),
        DatabaseRole.WRITER,
    )
