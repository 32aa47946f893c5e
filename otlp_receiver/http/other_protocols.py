"""Recognize a sender that speaks another protocol to the port, by its first bytes.

To the HTTP parser they are malformed requests, and many senders only report a broken connection.
Sources: RFC 9113 section 3.4 (HTTP/2 connection preface); RFC 8446 section 5.1 (TLS record).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OtherProtocol:
    """A protocol that the port does not speak."""

    name: str
    prefix: bytes
    """What every connection begins with."""
    advice: str

    @property
    def sentence(self) -> str:
        """What it is and where it belongs."""
        return f"{self.name} was sent to the port of OTLP/HTTP: {self.advice}"


OTHER_PROTOCOLS = (
    OtherProtocol(
        "gRPC (HTTP/2)",
        b"PRI * HTTP/2.0",
        "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use the Collector's otlphttp exporter",
    ),
    OtherProtocol(
        "TLS",
        b"\x16\x03",
        "use an endpoint that begins with http://, or set otlp.tls_cert and otlp.tls_key",
    ),
)


def other_protocol_of(begin: bytes) -> OtherProtocol | None:
    """The protocol of a connection that begins with these bytes, if it is one of the others."""
    for protocol in OTHER_PROTOCOLS:
        if begin.startswith(protocol.prefix):
            return protocol
    return None
