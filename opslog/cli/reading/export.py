# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog export`: all matching records, to standard output or a file."""

import shutil
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Literal

import typer

from opslog.cli.options import ConfigOption, echo_err
from opslog.cli.reading.output import (
    ExcludeOption,
    LevelOption,
    ProfileOption,
    QueryArgument,
    SinceOption,
    TokenOption,
    UntilOption,
    UrlOption,
    pairs_of,
    query_of,
)


def export(  # noqa: PLR0917 - options of a command line
    query: QueryArgument = None,
    since: SinceOption = "",
    until: UntilOption = "",
    level: LevelOption = "",
    exclude: ExcludeOption = None,
    form: Annotated[
        Literal["ndjson", "json", "csv", "otlp"],
        typer.Option("-o", "--output", help="Output format."),
    ] = "ndjson",
    file: Annotated[
        Path | None, typer.Option("--to", help="Write to this file instead of standard output.")
    ] = None,
    url: UrlOption = "",
    token: TokenOption = "",
    profile: ProfileOption = "",
    config: ConfigOption = None,
) -> None:
    """Export all matching records (streamed, no limit).

    opslog export --since 7d -o csv --to week.csv level:ERROR
    """
    from opslog.client.api_client import NoApi, api

    pairs = pairs_of(query_of(query, exclude), since=since, until=until, level=level)
    with api(url, token, config, profile).open(
        "/logs/export", [*pairs, ("format", form)]
    ) as response:
        try:
            if file is None:
                shutil.copyfileobj(response, sys.stdout.buffer)
            else:
                with file.open("wb") as target:
                    shutil.copyfileobj(response, target)
        except BrokenPipeError:
            raise
        except (OSError, HTTPException) as error:
            raise NoApi(f"the export was interrupted: {error}") from None
    if file is not None:
        echo_err(f"wrote {file}")
