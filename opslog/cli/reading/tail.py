# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog tail`: the last records, and with -f those that come."""

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

_AGAIN_S = 2.0
_REMEMBERED = 5_000


def tail(  # noqa: PLR0917 - options of a command line
    query: QueryArgument = None,
    number: Annotated[int, typer.Option("-n", "--tail", min=0, help="Last records first.")] = 10,
    since: SinceOption = "",
    until: UntilOption = "",
    level: LevelOption = "",
    exclude: ExcludeOption = None,
    output: OutputOption = "default",
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes.")] = False,
    color: ColourOption = None,
    url: UrlOption = "",
    token: TokenOption = "",
    profile: ProfileOption = "",
    config: ConfigOption = None,
) -> None:
    """Print the last records that a query finds, and with -f every new one until Ctrl-C.

    opslog tail -f level:ERROR
    """
    from opslog.client.api_client import api

    client = api(url, token, config, profile)
    if follow and until:
        raise typer.BadParameter("what is to come has no end", param_hint="--until")
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
    """Prints what comes; a connection that breaks is made anew where it stood."""
    from opslog.client.api_client import ApiRefused, NoApi

    place = ""
    while True:
        try:
            for kind, place_now, data in _events(client, pairs, place):
                place = place_now or place
                if kind == "missed":
                    echo_err(f"note: {data['count']} records came faster than they could be shown")
                elif data["id"] not in seen:
                    seen[data["id"]] = None
                    write(data)
                    if len(seen) > _REMEMBERED:
                        del seen[next(iter(seen))]
        except ApiRefused as error:
            if error.answered not in {429, 503}:
                raise
        except (NoApi, OSError):
            echo_err("note: the connection is lost; trying again")
        time.sleep(_AGAIN_S)


def _events(
    client: "Api", pairs: list[tuple[str, str]], place: str
) -> "Iterator[tuple[str, str, Record]]":
    headers = {"Last-Event-ID": place} if place else {}
    with client.open("/logs/tail", pairs, headers=headers) as answer:
        fields: dict[str, str] = {}
        for raw in answer:
            line = raw.decode().rstrip("\r\n")
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif "data" in fields:
                yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])
                fields = {}
