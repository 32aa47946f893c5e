# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog tail`: the latest records, and with -f new ones as they arrive."""

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from opslog.cli.options import ConfigOption, echo_err
from opslog.cli.reading.output import (
    ColourOption,
    ExcludeOption,
    LevelOption,
    OutputOption,
    ProfileOption,
    QueryArgument,
    SinceOption,
    TokenOption,
    UntilOption,
    UrlOption,
    has_colour,
    pairs_of,
    query_of,
    writer,
)

if TYPE_CHECKING:
    from opslog.client.api_client import Api
    from opslog.client.record_lines import Record

_RETRY_S = 2.0
_REMEMBERED = 5_000


def tail(  # noqa: PLR0917 - options of a command line
    query: QueryArgument = None,
    number: Annotated[
        int, typer.Option("-n", "--tail", min=0, help="Number of past records to show first.")
    ] = 10,
    since: SinceOption = "",
    until: UntilOption = "",
    level: LevelOption = "",
    exclude: ExcludeOption = None,
    output: OutputOption = "default",
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow new records.")] = False,
    color: ColourOption = None,
    url: UrlOption = "",
    token: TokenOption = "",
    profile: ProfileOption = "",
    config: ConfigOption = None,
) -> None:
    """Show the latest matching records, and with -f new ones until Ctrl-C.

    opslog tail -f level:ERROR
    """
    from opslog.client.api_client import api

    client = api(url, token, config, profile)
    if follow and until:
        raise typer.BadParameter("cannot be combined with --follow", param_hint="--until")
    pairs = pairs_of(query_of(query, exclude), level=level)
    past = pairs_of("", since=since, until=until)
    write = writer(output, colour=has_colour(wanted=color))
    seen: dict[str, None] = {}
    last = [
        record for page in client.pages("/logs", [*pairs, *past], number) for record in page["data"]
    ]
    for record in reversed(last):
        seen[record["id"]] = None
        write(record)
    if follow:
        _follow(client, pairs, write, seen)


def _follow(
    client: "Api",
    pairs: list[tuple[str, str]],
    write: "Callable[[Record], None]",
    seen: dict[str, None],
) -> None:
    """Print new records; after a connection loss, reconnect and continue from the last event."""
    from opslog.client.api_client import ApiRefused, NoApi

    place = ""
    while True:
        try:
            for kind, place_now, data in _events(client, pairs, place):
                place = place_now or place
                if kind == "missed":
                    echo_err(f"note: {data['count']} records skipped: they arrived too fast")
                elif data["id"] not in seen:
                    seen[data["id"]] = None
                    write(data)
                    if len(seen) > _REMEMBERED:
                        del seen[next(iter(seen))]
        except ApiRefused as error:
            if error.status_code not in {429, 503}:
                raise
        except (NoApi, OSError):
            echo_err("note: connection lost; reconnecting")
        time.sleep(_RETRY_S)


def _events(
    client: "Api", pairs: list[tuple[str, str]], place: str
) -> "Iterator[tuple[str, str, Record]]":
    headers = {"Last-Event-ID": place} if place else {}
    with client.open("/logs/tail", pairs, headers=headers) as response:
        fields: dict[str, str] = {}
        for raw in response:
            line = raw.decode().rstrip("\r\n")
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif "data" in fields:
                yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])
                fields = {}
