"""The receiver's listening socket."""

import socket

from config.process import listener
from config.process.tls import TlsContext
from otlp_receiver.http.server import HttpServer


class Listener(listener.Listener):
    """Accepts connections for the receiver, with TLS if configured."""

    def __init__(self, server: HttpServer, sock: socket.socket) -> None:
        super().__init__(server, sock, TlsContext.of(server.settings))
