# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog hold`: legal holds. What is held does not go, whatever its rule says."""

import getpass
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from opslog.cli.connecting import as_json, ask, table, when
from opslog.cli.options import ConfigOption, echo_err

if TYPE_CHECKING:
    from opslog.installation.installation import Installation
    from retention.holding.holds import Hold, HoldRequest
    from storage.database.roles import Connection

app = typer.Typer(help="Legal holds: add, list, release.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What people call it, for instance a case number.")],
    what: Annotated[
        list[str],
        typer.Argument(
            help="What is held: search words, and name=value as in the API: "
            "start=2026-01-01T00:00:00Z, sourceModule=payments, actorId=u-42, attr.order.id=7."
        ),
    ],
    why: Annotated[str, typer.Option(help="The reason, for the record.")],
    until: Annotated[
        datetime | None,
        typer.Option(help="It ends then, UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Hold the records that match, also those that arrive later. Prints the hold's number."""
    from retention.holding import holds

    async def read(conn: "Connection", found: "Installation") -> "Hold":
        return await holds.add(conn, _wish(found, name, what, why, until))

    made = ask(config, read)
    print(made.hold_id)
    echo_err(f"held from now on: {made.shown}")


@app.command("list")
def list_(
    *,
    past: Annotated[bool, typer.Option("--all", help="Past ones, too.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the holds in force: number, name, what, why, who, since when, until when."""
    from retention.holding.holds import all_holds

    async def read(conn: "Connection", _: "Installation") -> "list[Hold]":
        return await all_holds(conn)

    now = datetime.now(UTC)
    found = [hold for hold in ask(config, read) if past or hold.is_active(now)]
    if json:
        print(as_json([_plain(hold) for hold in found]))
        return
    rows = [
        [
            hold.hold_id,
            hold.name,
            hold.shown,
            hold.why,
            hold.made_by,
            when(hold.made_at),
            when(hold.released_at or hold.ends_at),
        ]
        for hold in found
    ]
    head = ["hold", "name", "what", "why", "by", "since", "until"]
    print(table(head, rows) if rows else "nothing is held")


@app.command()
def release(
    hold: Annotated[int, typer.Argument(help="Its number.", min=1)],
    why: Annotated[str, typer.Option(help="The reason, for the record.")],
    config: ConfigOption = None,
) -> None:
    """End a hold; what is due by its rule goes with the next run."""
    from retention.holding.holds import release as end

    async def read(conn: "Connection", _: "Installation") -> "Hold":
        return await end(conn, hold, by=getpass.getuser(), why=why)

    released = ask(config, read)
    echo_err(f"released {released.hold_id} ({released.name})")


def _wish(
    found: "Installation", name: str, what: list[str], why: str, until: datetime | None
) -> "HoldRequest":
    from opslog.wiring.redaction import stored_as
    from query.planning.search import HOLD, parse
    from retention.holding.holds import HoldRequest
    from storage.filtering.filters import TimeRange, all_of

    pairs, words = [], []
    for part in what:
        key, sign, value = part.partition("=")
        if sign and key.replace(".", "").replace("_", "").isalnum():
            pairs.append((key, value))
        else:
            words.append(part)
    if words:
        pairs.append(("q", " ".join(words)))
    search = parse(pairs, HOLD, now_ns=time.time_ns(), stored_as=stored_as(found))
    times = TimeRange(search.start_ns, search.end_ns)
    is_open = times == TimeRange(None, None)
    return HoldRequest(
        name=name,
        filter=search.where if is_open else all_of(times, search.where),
        shown=" ".join(what),
        why=why,
        made_by=getpass.getuser(),
        ends_at=until.replace(tzinfo=UTC) if until else None,
    )


def _plain(hold: "Hold") -> dict[str, object]:
    return {
        "id": hold.hold_id,
        "name": hold.name,
        "what": hold.shown,
        "why": hold.why,
        "made_by": hold.made_by,
        "made_at": hold.made_at.isoformat(),
        "ends_at": hold.ends_at.isoformat() if hold.ends_at else None,
        "released_at": hold.released_at.isoformat() if hold.released_at else None,
        "released_by": hold.released_by,
        "released_why": hold.released_why,
    }
