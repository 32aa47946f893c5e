# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog demo`: sends the telemetry of a demo shop, and suggests what to view."""

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Annotated

import typer

from config.errors import SetupError
from opslog.cli.options import ConfigOption, echo_err
from opslog.installation.opening import command_name, open_installation

if TYPE_CHECKING:
    from opslog.client.demo import Sales
    from opslog.installation.installation import Installation

_PROBE_S = 5.0
_ROLE = "ADMIN"


class DemoCannotSend(SetupError):
    """The demo has no endpoint, or the OpenTelemetry SDK is missing."""

    code = "demo_cannot_send"
    title = "The demo cannot send"
    exit_code = 1


def demo(
    seconds: Annotated[float, typer.Option(help="Duration in seconds.", min=0, max=3600)] = 5,
    endpoint: Annotated[
        str, typer.Option(help="OTLP base address; default: the local opslog.")
    ] = "",
    key: Annotated[
        str, typer.Option(help="Ingest key, if required.", envvar="OPSLOG_DEMO_KEY")
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the random orders.")] = 1,
    config: ConfigOption = None,
) -> None:
    """Send logs and traces of a demo shop with three services, using the OpenTelemetry SDK."""
    found = open_installation(config)
    running = found.running()
    target = (endpoint or (running.otlp_url if running else "")).rstrip("/")
    if not target:
        raise DemoCannotSend(
            f"opslog is not running on {found.data_dir}: start it with `{command_name()} up` in "
            "another terminal, or echo_err where to send with --endpoint"
        )
    try:
        from opslog.client import demo as shop
    except ImportError as error:
        raise DemoCannotSend(
            f"the OpenTelemetry SDK is not installed ({error.name} is missing): "
            "pip install 'opslog[demo]'"
        ) from error
    _probe(target, key)
    echo_err(f"sending to {target} for {seconds:g} s")
    sales = shop.run(target, key, seconds, seed)
    if sales.problems:
        raise DemoCannotSend(f"{target} did not accept everything: {sales.problems[0]}")
    print(_report(sales, found, running.api_url if running else ""))


def _probe(target: str, key: str) -> None:
    """Send an empty export to check the connection and the key."""
    headers = {"Content-Type": "application/x-protobuf"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(  # noqa: S310 - the address is the user's own
        f"{target}/v1/logs", data=b"", headers=headers, method="POST"
    )
    try:
        urllib.request.urlopen(request, timeout=_PROBE_S).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        hint = (
            f"; give --key ({command_name()} keys create demo)" if error.code in (401, 403) else ""
        )
        raise DemoCannotSend(f"{target} returned {error.code} {error.reason}{hint}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DemoCannotSend(f"cannot connect to {target}: {reason}") from None


def _report(sales: "Sales", found: "Installation", api: str) -> str:
    lines = [f"sent {sales.records} log records of {sales.orders} orders, with their spans"]
    if not api:
        return lines[0]
    from opslog.installation.tokens import TokenRequest, signed_token

    token = signed_token(found, TokenRequest(_ROLE, subject="demo"))
    curl = f"curl -s -H 'Authorization: Bearer {token}'"
    lines += [
        "",
        f"  viewer            {api}/#token={token}",
        f"  errors            {curl} '{api}/api/v1/logs?level=ERROR&limit=5'",
        f"  redacted secrets  {curl} '{api}/api/v1/logs?action=payment.charge&level=DEBUG&limit=1'",
    ]
    if sales.failed_traces:
        trace = sales.failed_traces[-1]
        lines.append(f"  a failed order    {curl} '{api}/api/v1/logs/trace/{trace}'")
    return "\n".join(lines)
