# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog search`: matching records, as lines."""

from typing import Annotated

import typer

from config.errors import OpslogError
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
    print_explanation,
    print_notes,
    query_of,
    writer,
)

NOT_FOUND, FAILED = 1, 2
"""Exit codes, as of grep."""


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
    color: ColourOption = None,
    url: UrlOption = "",
    token: TokenOption = "",
    profile: ProfileOption = "",
    config: ConfigOption = None,
) -> None:
    """Show the latest matching records, oldest first.

    opslog search --since 1h 'timeout -retry level:>=WARN'

    Exits with 0 if records match, 1 if none does, 2 if it cannot tell.
    """
    from opslog.client.api_client import api

    pairs = pairs_of(query_of(query, exclude), since=since, until=until, level=level)
    pairs += [("explain", "true")] if explain else []
    write = writer(output, colour=has_colour(wanted=color))
    found = []
    is_partial = False
    try:
        pages = api(url, token, config, profile).pages("/logs", pairs, number)
        for place, page in enumerate(pages):
            if place == 0:
                print_notes(page)
            found += page["data"]
            is_partial |= "partial" in page
            if explain:
                print_explanation(page["explain"])
    except OpslogError as error:
        echo_err(f"opslog: {error}")
        raise typer.Exit(FAILED) from error
    for record in found[:number] if reverse else reversed(found[:number]):
        write(record)
    if not found:
        raise typer.Exit(FAILED if is_partial else NOT_FOUND)
