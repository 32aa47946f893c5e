"""The receiver's listening socket."""

import socket

from config import listener
from config.tls import TlsContext
from otlp_receiver.conduct import HttpServer


class Listener(listener.Listener):
    """Accepts connections for the receiver, with TLS where its settings say so."""

    def __init__(self, server: HttpServer, sock: socket.socket) -> None:
        super().__init__(server, sock, TlsContext.of(server.settings))
