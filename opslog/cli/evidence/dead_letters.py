# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog dead-letters`: rows that PostgreSQL refused."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from opslog.cli.evidence.ledger import ask
from opslog.cli.options import ConfigOption, echo_err
from opslog.client.record_lines import printable, readable_json
from opslog.installation.opening import open_installation

if TYPE_CHECKING:
    from storage.database.roles import Connection
    from storage.writing.replaying import Outcome

app = typer.Typer(
    help="Rows that the database refused: list, show, replay, discard.", no_args_is_help=True
)
_STATES = ("waiting", "replayed", "discarded")
Number = Annotated[int, typer.Argument(help="Its number, as `list` shows it.")]


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="waiting, replayed or discarded.")] = "waiting",
    limit: Annotated[int, typer.Option(help="Most to show.", min=1)] = 100,
    config: ConfigOption = None,
) -> None:
    """Show dead letters, oldest first: number, arrival, class, why they were refused."""
    from storage.writing.replaying import letters

    if state not in _STATES:
        raise typer.BadParameter(f"{state!r} is none of {', '.join(_STATES)}", param_hint="--state")
    found = ask(open_installation(config), lambda conn: letters(conn, state=state, limit=limit))
    if not found:
        echo_err(f"no dead letters are {state}")
    for row in found:
        print(
            f"{row['dead_letter_id']:>8}  {row['received_at']:%Y-%m-%d %H:%M:%S}Z  "
            f"{row['class']:<10} {row['sqlstate']}  {printable(row['reason'])}"
        )


@app.command()
def show(number: Number, config: ConfigOption = None) -> None:
    """Show one with its row (redacted, as it would have been stored), as JSON."""
    from storage.writing.replaying import contents

    found = ask(open_installation(config), lambda conn: contents(conn, number))
    print(readable_json(found))


@app.command()
def replay(
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Their numbers; none: all that wait.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Store them, after the cause was mended. Exit code 1 when one is refused again."""
    from storage.database.roles import DatabaseRole
    from storage.writing import replaying

    async def work(conn: "Connection") -> "list[tuple[int, Outcome]]":
        wanted = list(numbers or [])
        if not wanted:
            rows = await replaying.letters(conn, limit=1_000_000)
            wanted = [row["dead_letter_id"] for row in rows]
        by = getpass.getuser()
        return [(number, await replaying.replay(conn, number, by=by)) for number in wanted]

    done = ask(open_installation(config), work, DatabaseRole.WRITER)
    if not done:
        echo_err("no dead letters are waiting")
    for number, outcome in done:
        echo_err(f"{number}: {'stored' if outcome.stored else 'refused again: ' + outcome.reason}")
    if not all(outcome.stored for _, outcome in done):
        raise typer.Exit(1)


@app.command()
def discard(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why; it goes into the ledger.", prompt=True)],
    config: ConfigOption = None,
) -> None:
    """Give one up. The ledger says who did and why."""
    from storage.database.roles import DatabaseRole
    from storage.writing import replaying

    by = getpass.getuser()
    ask(
        open_installation(config),
        lambda conn: replaying.discard(conn, number, by=by, reason=reason),
        DatabaseRole.WRITER,
    )
