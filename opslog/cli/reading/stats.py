# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog stats`: counts of matching records."""

import json
from typing import Annotated, Literal

import typer

from opslog.cli.options import ConfigOption
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
    print_notes,
    query_of,
)

_BAR = 40


def stats(  # noqa: PLR0917 - options of a command line
    query: QueryArgument = None,
    since: SinceOption = "24h",
    until: UntilOption = "",
    level: LevelOption = "",
    exclude: ExcludeOption = None,
    by: Annotated[
        Literal["level", "sourceModule", "action", "kind"], typer.Option(help="Group by.")
    ] = "level",
    output: Annotated[
        Literal["default", "json"], typer.Option("-o", "--output", help="Output format.")
    ] = "default",
    url: UrlOption = "",
    token: TokenOption = "",
    profile: ProfileOption = "",
    config: ConfigOption = None,
) -> None:
    """Count matching records by level, service, action or kind.

    opslog stats --since 7d --by sourceModule 'level:>=ERROR'
    """
    from opslog.client.api_client import api
    from opslog.client.record_lines import printable

    pairs = pairs_of(query_of(query, exclude), since=since, until=until, level=level)
    found = api(url, token, config, profile).get("/logs/stats", [*pairs, ("by", by)])
    if output == "json":
        print(json.dumps(found, indent=2))
        return
    print_notes(found)
    most = max((item["count"] for item in found["totals"]), default=1)
    for item in found["totals"]:
        bar = "#" * -(-item["count"] * _BAR // most)
        print(f"{printable(item['value']):<24} {item['count']:>14,}  {bar}")
    print(f"{'total':<24} {found['total']:>14,}")
