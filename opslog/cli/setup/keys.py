# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog keys`: ingest keys, required for senders from other machines."""

import getpass
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from config.units import duration_s, size_bytes, size_text
from opslog.cli.connecting import with_connection
from opslog.cli.options import ConfigOption, amount, echo_err
from opslog.client.record_lines import printable

if TYPE_CHECKING:
    from pathlib import Path

    from config.levels import Level
    from storage.access.ingest_keys import IngestKey, KeyTerms
    from storage.database.roles import Connection

T = TypeVar("T")

app = typer.Typer(help="Ingest keys: create, list, rotate, revoke.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the key, for instance its service.")]


@app.command()
def create(  # noqa: PLR0917 - options of a command line
    name: Name,
    right: Annotated[
        list[str] | None,
        typer.Option(help="Permission: logs, traces or audit; default: logs and traces."),
    ] = None,
    expires: Annotated[
        str, typer.Option(help="Lifetime, for instance 90d; default: unlimited.")
    ] = "",
    min_level: Annotated[
        str, typer.Option(help="Minimum level; records below it are rejected.")
    ] = "",
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="Attribute name=value to set on each resource, overriding the sender's."),
    ] = None,
    records_per_s: Annotated[int | None, typer.Option(help="Rate limit in records/s.")] = None,
    bytes_per_s: Annotated[
        str, typer.Option(help="Rate limit in bytes/s, for instance 2MiB.")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Create a key and print it on standard output. Only its hash is stored.

    export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20$(opslog keys create shop)"
    """
    from storage.access.ingest_keys import DEFAULT_RIGHTS, KeyRefused, KeyTerms
    from storage.access.ingest_keys import create as make

    lifetime = amount(duration_s, expires, "--expires")
    rate = amount(size_bytes, bytes_per_s, "--bytes-per-s")
    try:
        terms = KeyTerms(
            rights=tuple(right) if right else DEFAULT_RIGHTS,
            attributes=dict(_pair(text) for text in attribute or []),
            min_level=_level(min_level),
            expires_at=None if lifetime is None else _now() + timedelta(seconds=lifetime),
            records_per_s=records_per_s,
            bytes_per_s=rate,
        )
    except KeyRefused as error:
        raise typer.BadParameter(str(error)) from None
    made = _run(config, lambda conn: make(conn, name, made_by=getpass.getuser(), terms=terms))
    print(made.secret)


@app.command("list")
def list_(
    *,
    revoked: Annotated[
        bool, typer.Option("--revoked", help="Include revoked and expired keys.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """List the keys: name, prefix, permissions, created, last used, expiry, limits."""
    from storage.access.ingest_keys import list_keys

    keys = _run(config, lambda conn: list_keys(conn, with_revoked=revoked))
    for key in keys:
        print(printable(_row(key)))
    if not keys:
        echo_err("no ingest keys; create one with `opslog keys create NAME`")


@app.command()
def rotate(
    name: Name,
    grace: Annotated[str, typer.Option(help="How long the old key stays valid.")] = "1h",
    config: ConfigOption = None,
) -> None:
    """Replace a key: print a new one with the same name and limits, then expire the old one."""
    from storage.access.ingest_keys import rotate as renew

    seconds = amount(duration_s, grace, "--grace") if grace.strip("0") else 0
    period = timedelta(seconds=seconds or 0)
    made = _run(config, lambda conn: renew(conn, name, made_by=getpass.getuser(), grace=period))
    print(made.secret)


@app.command()
def revoke(name: Name, config: ConfigOption = None) -> None:
    """Revoke a key; running receivers reject it within seconds."""
    from storage.access.ingest_keys import revoke as end

    count = _run(config, lambda conn: end(conn, name))
    echo_err(f"revoked {name}" + (f" ({count} keys, one in its grace period)" if count > 1 else ""))


def _run(config: "Path | None", work: "Callable[[Connection], Awaitable[T]]") -> T:
    return with_connection(config, lambda conn, _: work(conn))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint="--attribute")
    return name, value


def _level(text: str) -> "Level | None":
    from config.levels import LEVEL_NAMES, Level

    if not text:
        return None
    if text.upper() not in LEVEL_NAMES:
        known = ", ".join(LEVEL_NAMES)
        raise typer.BadParameter(
            f"unknown level {text!r}; use one of {known}", param_hint="--min-level"
        )
    return Level[text.upper()]


def _row(key: "IngestKey") -> str:
    used = f"used {_day(key.last_used_at)}" if key.last_used_at else "never used"
    parts = (f"{key.name:<24}", f"{key.hint}…", f"{','.join(key.terms.rights):<17}")
    return "  ".join((*parts, f"created {_day(key.made_at)}", used, *_end(key), *_terms(key.terms)))


def _end(key: "IngestKey") -> list[str]:
    """When the key expires, or when it expired or was revoked."""
    ends = [
        (when, word)
        for when, word in ((key.revoked_at, "revoked"), (key.terms.expires_at, "expired"))
        if when is not None
    ]
    if not ends:
        return []
    when, word = min(ends)
    return [f"{word if when <= _now() else 'until'} {_day(when)}"]


def _terms(terms: "KeyTerms") -> list[str]:
    """The other limits of the key, as the options of `create`."""
    parts = [] if terms.min_level is None else [f"min-level={terms.min_level.name}"]
    if terms.records_per_s is not None:
        parts.append(f"records-per-s={terms.records_per_s}")
    if terms.bytes_per_s is not None:
        parts.append(f"bytes-per-s={size_text(terms.bytes_per_s).replace(' ', '')}")
    return parts + [f"attribute={name}={value!r}" for name, value in terms.attributes.items()]


def _now() -> datetime:
    return datetime.now(UTC)


def _day(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
