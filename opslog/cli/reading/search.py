# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog search`: matching records, as lines."""

from typing import Annotated

import typer

from opslog.cli.options import ConfigOption
from opslog.cli.reading.output import (
    ColourOption,
    ExcludeOption,
    ExitCodeOption,
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
    print_explanation,
    print_notes,
    query_of,
    writer,
)


def search(  # noqa: PLR0917 - options of a command line
    query: QueryArgument = None,
    since: SinceOption = "",
    until: UntilOption = "",
    level: LevelOption = "",
    exclude: ExcludeOption = None,
    number: Annotated[
        int, typer.Option("-n", "--limit", min=1, help="Maximum number of records.")
    ] = 100,
    output: OutputOption = "default",
    *,
    reverse: Annotated[bool, typer.Option("--reverse", help="Newest first.")] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Also print what was read, skipped and how long it took."),
    ] = False,
    exit_code: ExitCodeOption = False,
    color: ColourOption = None,
    url: UrlOption = "",
    token: TokenOption = "",
    profile: ProfileOption = "",
    config: ConfigOption = None,
) -> None:
    """Show the latest matching records, oldest first.

    opslog search --since 1h 'timeout -retry level:>=WARN'
    """
    from opslog.client.api_client import api

    pairs = pairs_of(query_of(query, exclude), since=since, until=until, level=level)
    pairs += [("explain", "true")] if explain else []
    write = writer(output, colour=has_colour(wanted=color))
    found = []
    for place, page in enumerate(api(url, token, config, profile).pages("/logs", pairs, number)):
        if place == 0:
            print_notes(page)
        found += page["data"]
        if explain:
            print_explanation(page["explain"])
    for record in found[:number] if reverse else reversed(found[:number]):
        write(record)
    if exit_code and not found:
        raise typer.Exit(1)
