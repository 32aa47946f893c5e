"""A receiver on a free port with an in-memory sink, and a raw socket client."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from google.rpc import error_details_pb2, status_pb2

from config.settings import OtlpSettings
from otlp_receiver.admission.keys import KeyInfo, KeyRing
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.http.listener import Listener
from otlp_receiver.http.receive import Explain
from otlp_receiver.http.routes import build_app
from otlp_receiver.http.server import HttpServer

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@dataclass
class Outcome:
    """The result of MemorySink."""

    received: int = 1
    rejected: dict[str, int] = field(default_factory=dict)
    rejected_at: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    replaced_characters: int = 0


@dataclass
class MemorySink:
    """Stores what it receives; `outcome` may be an error to raise or a gate to wait for."""

    outcome: Outcome | Exception = field(default_factory=Outcome)
    gate: asyncio.Event | None = None
    waiting: int = 0
    got: list[tuple[Signal, Encoding, bytes, KeyInfo]] = field(default_factory=list)

    async def ingest(
        self, signal: Signal, encoding: Encoding, body: bytes, key: KeyInfo
    ) -> Outcome:
        """As the pipeline's."""
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        self.got.append((signal, encoding, body, key))
        return self.outcome

    @property
    def bodies(self) -> list[bytes]:
        """The bodies only."""
        return [got[2] for got in self.got]


@dataclass
class Reply:
    """A raw response."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def rpc(self) -> status_pb2.Status:
        """The body as google.rpc.Status, parsed by the official class."""
        if self.headers["content-type"] == PROTOBUF:
            return status_pb2.Status.FromString(self.body)
        found = json.loads(self.body)
        return status_pb2.Status(code=found["code"], message=found["message"])

    @property
    def violations(self) -> list[tuple[str, str]]:
        """Field and description of the BadRequest detail."""
        if self.headers["content-type"] == JSON:
            details = json.loads(self.body)["details"]
            assert details[0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
            return [(v["field"], v["description"]) for v in details[0]["fieldViolations"]]
        detail = error_details_pb2.BadRequest()
        assert self.rpc.details[0].Unpack(detail)
        return [(v.field, v.description) for v in detail.field_violations]


class Wire:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send these bytes and nothing else."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, head: bool = False) -> Reply:
        """The next response."""
        async with asyncio.timeout(20):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = [line.split(":", 1) for line in lines[1:] if line]
            headers = {name.lower(): value.strip() for name, value in pairs}
            length = 0 if head else int(headers.get("content-length", 0))
            body = await self.reader.readexactly(length)
        return Reply(int(lines[0].split()[1]), headers, body)

    async def is_closed(self, within_s: float = 5.0) -> bool:
        """Whether the server closes the connection within this time."""
        try:
            async with asyncio.timeout(within_s):
                while await self.reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    async def close(self) -> None:
        """Close our side."""
        self.writer.close()

    async def gone(self) -> None:
        """Return when our socket is closed, whatever the state of the other side."""
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Running:
    """A receiver running in this process."""

    server: HttpServer
    listener: Listener
    sink: MemorySink
    keys: KeyRing
    wires: list[Wire] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.listener.port

    async def connect(self, tls: ssl.SSLContext | None = None) -> Wire:
        """A new connection."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=tls, server_hostname="localhost" if tls else None
        )
        wire = Wire(reader, writer)
        self.wires.append(wire)
        return wire

    async def post(
        self, path: str = "/v1/logs", body: bytes = b"", *, method: str = "POST", **headers: str
    ) -> Reply:
        """One request on a separate connection; header names with _ for -."""
        wire = await self.connect()
        await wire.send(request(path, body, method=method, **headers))
        reply = await wire.reply(head=method == "HEAD")
        await wire.close()
        return reply


def request(
    path: str = "/v1/logs", body: bytes = b"", *, method: str = "POST", **headers: str
) -> bytes:
    """The bytes of a request; Content-Type protobuf and Content-Length unless given."""
    named: dict[str, Any] = {name.replace("_", "-"): value for name, value in headers.items()}
    named = {"Host": "receiver", "Content-Type": PROTOBUF, "Content-Length": len(body)} | named
    lines = [f"{name}: {value}" for name, value in named.items() if value != "-"]
    return (
        f"{method} {path} HTTP/1.1\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    )


async def no_explanation(*_: object) -> bytes:
    """For tests that do not use explanations."""
    return b"{}"


@asynccontextmanager
async def running(
    settings: OtlpSettings | None = None,
    *,
    sink: MemorySink | None = None,
    keys: KeyRing | None = None,
    explain: Explain = no_explanation,
) -> AsyncIterator[Running]:
    """Run a receiver until the end of the block."""
    settings = settings or OtlpSettings(port=0)
    sink = sink or MemorySink()
    keys = keys or KeyRing(required=False)
    server = build_app(settings, sink, keys, explain)
    sock = socket.create_server(("127.0.0.1", 0))
    listener = Listener(server, sock)
    listener.start()
    receiver = Running(server, listener, sink, keys)
    try:
        yield receiver
    finally:
        await asyncio.gather(*(wire.gone() for wire in receiver.wires))
        if not listener.is_closed:
            await listener.close(0.5)
