"""The paths of the receiver, and its HTTP server.

To add a path, add a line to ROUTES and, if it does something new, a step in receive.py.
"""

from collections.abc import Mapping

from aiohttp import web

from config.errors import OpslogError
from config.settings import OtlpSettings
from otlp_receiver.admission.keys import KeyRing
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.http.receive import Explain, Receiver, Route, Sink
from otlp_receiver.http.responses import refusal
from otlp_receiver.http.server import HttpServer

ROUTES: Mapping[str, Route] = {
    "/v1/logs": Route(Signal.LOGS),
    "/v1/traces": Route(Signal.TRACES),
    "/v1/audit": Route(Signal.AUDIT),
    "/v1/logs:explain": Route(Signal.LOGS, explains=True),
    "/v1/traces:explain": Route(Signal.TRACES, explains=True),
    "/v1/metrics": Route(None),
    "/v1development/profiles": Route(None),
}


def build_app(settings: OtlpSettings, sink: Sink, keys: KeyRing, explain: Explain) -> HttpServer:
    """The server for a listener (listener.py). Needs a running event loop."""
    receiver = Receiver(
        settings=settings,
        routes=_with_variants(settings.path_prefix),
        sink=sink,
        keys=keys,
        explain=explain,
    )
    return HttpServer(receiver, settings, refuse=_not_http, update_gauges=receiver.update_gauges)


def _with_variants(prefix: str) -> dict[str, Route]:
    """Every path with and without a trailing slash, and the same under the prefix.

    An endpoint with a trailing slash is the third example of the exporter specification; a redirect
    would lose the data of senders that follow it with GET.
    """
    return {
        f"{before}{path}{slash}": route
        for before in ("", prefix)
        for path, route in ROUTES.items()
        for slash in ("", "/")
    }


def _not_http(error: OpslogError) -> web.StreamResponse:
    return refusal(error, Encoding.JSON)
