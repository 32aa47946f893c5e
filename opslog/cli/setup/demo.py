# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog demo`: sends the telemetry of a small shop, and says what to look at."""

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
    """The demonstration has nobody to send to, or nothing to send with."""

    code = "demo_cannot_send"
    title = "The demonstration cannot send"
    exit_code = 1


def demo(
    seconds: Annotated[float, typer.Option(help="How long the shop is open.", min=0, max=3600)] = 5,
    endpoint: Annotated[
        str, typer.Option(help="Base address to send to; default: the opslog that runs here.")
    ] = "",
    key: Annotated[
        str, typer.Option(help="Ingest key, where one is needed.", envvar="OPSLOG_DEMO_KEY")
    ] = "",
    seed: Annotated[int, typer.Option(help="The same seed, the same orders.")] = 1,
    config: ConfigOption = None,
) -> None:
    """Run a small shop of three services for some seconds with the real OpenTelemetry SDK."""
    found = open_installation(config)
    running = found.running()
    target = (endpoint or (running.otlp_url if running else "")).rstrip("/")
    if not target:
        raise DemoCannotSend(
            f"opslog does not run on {found.data_dir}: start it with `{command_name()} up` in "
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
    echo_err(f"the shop is open for {seconds:g} s and sends to {target}")
    sales = shop.run(target, key, seconds, seed)
    if sales.problems:
        raise DemoCannotSend(f"{target} did not take everything: {sales.problems[0]}")
    print(_report(sales, found, running.api_url if running else ""))


def _probe(target: str, key: str) -> None:
    """An export of nothing: is somebody there, and would it take something from us?"""
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
        raise DemoCannotSend(f"{target} answers {error.code} {error.reason}{hint}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DemoCannotSend(f"nobody takes telemetry at {target}: {reason}") from None


def _report(sales: "Sales", found: "Installation", api: str) -> str:
    lines = [f"sent {sales.records} log records of {sales.orders} orders, and their spans"]
    if not api:
        return lines[0]
    from opslog.installation.tokens import TokenRequest, signed_token

    token = signed_token(found, TokenRequest(_ROLE, subject="demo"))
    ask = f"curl -s -H 'Authorization: Bearer {token}'"
    lines += [
        "",
        f"  page            {api}/#token={token}",
        f"  errors          {ask} '{api}/api/v1/logs?level=ERROR&limit=5'",
        f"  secrets, gone   {ask} '{api}/api/v1/logs?action=payment.charge&level=DEBUG&limit=1'",
    ]
    if sales.failed_traces:
        trace = sales.failed_traces[-1]
        lines.append(f"  a failed order  {ask} '{api}/api/v1/logs/trace/{trace}'")
    return "\n".join(lines)
