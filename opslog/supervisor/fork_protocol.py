"""Messages between supervisor and fork server: one packet (SOCK_SEQPACKET) of JSON each."""

import json
import signal
from dataclasses import asdict, dataclass

PACKET_BYTES = 65_536
DEFERRED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
"""Blocked in the server, from its start on (fork_server.py): it ends with the supervisor.

What comes for a process that was just forked waits until it is that process."""


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """A process to create."""

    arguments: tuple[str, ...]
    """Of `opslog`."""
    environment: dict[str, str]
    """What differs from the server's."""
    folder: str

    def packet(self) -> bytes:
        """The encoded message."""
        return json.dumps(asdict(self)).encode()
