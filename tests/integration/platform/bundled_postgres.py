"""A process that tests kill: creates or runs a server in sys.argv[1]."""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opslog.embedded.postgres import EmbeddedPostgres
from opslog.embedded.server import silent
from opslog.system.processes import account_for, start

SMALL = {"shared_buffers": "32MB", "max_locks_per_transaction": "64", "fsync": "off"}


def _server() -> EmbeddedPostgres:
    shelf = Path(tempfile.gettempdir()) / "opslog-test-programs"
    return EmbeddedPostgres(
        Path(sys.argv[1]), "first", account=account_for(""), shelf=shelf, extra=SMALL
    )


def prepare() -> None:
    """Only create the cluster."""
    _server().prepare(silent)


def serve() -> None:
    """Start it, print `ready`, and wait."""
    server = _server()
    server.prepare(silent)
    process = start(server.command(), output=subprocess.DEVNULL)
    while not server.is_ready(process.pid):
        time.sleep(0.01)
    print("ready", flush=True)
    signal.pause()
