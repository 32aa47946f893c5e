# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog hold`: legal holds, which exempt records from retention."""

import getpass
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from opslog.cli.connecting import as_json, table, when, with_connection
from opslog.cli.options import ConfigOption, echo_err

if TYPE_CHECKING:
    from opslog.installation.installation import Installation
    from retention.holding.holds import Hold, HoldRequest
    from storage.database.roles import Connection

app = typer.Typer(help="Legal holds: add, list, release.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON output.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name, for instance a case number.")],
    terms: Annotated[
        list[str],
        typer.Argument(
            help="Filter: query terms, and name=value as in the API: "
            "start=2026-01-01T00:00:00Z, sourceModule=payments, actorId=u-42, attr.order.id=7."
        ),
    ],
    reason: Annotated[str, typer.Option(help="Reason, recorded in the ledger.")],
    until: Annotated[
        datetime | None,
        typer.Option(
            help="End, UTC; default: until released.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Create a hold on all matching records, including future ones. Prints its number."""
    from retention.holding import holds

    async def create(conn: "Connection", found: "Installation") -> "Hold":
        return await holds.add(conn, _request(found, name, terms, reason, until))

    created = with_connection(config, create)
    print(created.hold_id)
    echo_err(f"on hold from now on: {created.shown}")


@app.command("list")
def list_(
    *,
    past: Annotated[bool, typer.Option("--all", help="Include past holds.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List active holds: number, name, filter, reason, creator, start, end."""
    from retention.holding.holds import all_holds

    async def read(conn: "Connection", _: "Installation") -> "list[Hold]":
        return await all_holds(conn)

    now = datetime.now(UTC)
    found = [hold for hold in with_connection(config, read) if past or hold.is_active(now)]
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
    head = ["hold", "name", "filter", "reason", "by", "since", "until"]
    print(table(head, rows) if rows else "no legal holds")


@app.command()
def release(
    hold: Annotated[int, typer.Argument(help="Number of the hold.", min=1)],
    reason: Annotated[str, typer.Option(help="Reason, recorded in the ledger.")],
    config: ConfigOption = None,
) -> None:
    """Release a hold; records that are due expire with the next run."""
    from retention.holding.holds import release as end

    async def work(conn: "Connection", _: "Installation") -> "Hold":
        return await end(conn, hold, by=getpass.getuser(), why=reason)

    released = with_connection(config, work)
    echo_err(f"released {released.hold_id} ({released.name})")


def _request(
    found: "Installation", name: str, terms: list[str], reason: str, until: datetime | None
) -> "HoldRequest":
    from opslog.wiring.redaction import stored_as
    from query.planning.search import HOLD, parse
    from retention.holding.holds import HoldRequest
    from storage.filtering.filters import TimeRange, all_of

    pairs, words = [], []
    for part in terms:
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
        shown=" ".join(terms),
        why=reason,
        made_by=getpass.getuser(),
        ends_at=until.replace(tzinfo=UTC) if until else None,
    )


def _plain(hold: "Hold") -> dict[str, object]:
    return {
        "id": hold.hold_id,
        "name": hold.name,
        "filter": hold.shown,
        "reason": hold.why,
        "created_by": hold.made_by,
        "created_at": hold.made_at.isoformat(),
        "ends_at": hold.ends_at.isoformat() if hold.ends_at else None,
        "released_at": hold.released_at.isoformat() if hold.released_at else None,
        "released_by": hold.released_by,
        "release_reason": hold.released_why,
    }
