"""A group of small real programs under the real supervisor. Run as a process of its own.

    python -m tests.integration.platform.process_group FOLDER 'a b,c' [json]

Groups are separated by commas, roles by blanks. The name of a role selects what it does: `receiver-0`,
`query`, `valkey`, `postgres` write down their start and end; `stubborn` ignores SIGTERM;
`broken` fails before it is ready; `later` is a step that cannot be done the first two times;
`loud` writes odd lines; `parent` has a child of its own.
"""

import asyncio
import os
import sys
from pathlib import Path

from config.process import logs, telemetry
from config.settings import LogSettings
from opslog.supervisor.log_stream import LogStream
from opslog.system.processes import Command

BODY = """
import os, signal, subprocess, sys, time
name, folder = sys.argv[1:3]
def note(what):
    with open(f"{folder}/events", "a") as file:
        file.write(f"{what} {name}\\n")
def on_term(number, frame):
    note("end")
    sys.exit(0)
def ready():
    os.write(int(os.environ["OPSLOG_READY_FD"]), b"READY=1\\n")
signal.signal(signal.SIGTERM, on_term)
note("start")
with open(f"{folder}/pids", "a") as file:
    file.write(f"{name} {os.getpid()}\\n")
if name == "broken":
    print("the disk is not there", flush=True)
    sys.exit(78)
if name == "stubborn":
    signal.signal(signal.SIGTERM, lambda *_: note("ignored"))
if name == "later":
    sys.exit(75 if open(f"{folder}/events").read().count("start later") < 3 else 0)
if name == "loud":
    sys.stdout.write("plain\\n\\x1b[31mred\\n{\\"message\\": \\"json\\"}\\n" + "x" * 200000 + "\\nERROR:  bad\\n")
    sys.stdout.flush()
if name == "parent":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(f"{folder}/pids", "a") as file:
        file.write(f"grandchild {child.pid}\\n")
time.sleep(0.1)
ready()
while True:
    time.sleep(0.05)
"""


async def main(folder: Path, plan: str, *, as_json: bool) -> int:
    """Run the group; write `ready` to the events when all are."""
    from opslog.supervisor.roles import Role
    from opslog.supervisor.supervisor import Supervisor

    stream = LogStream(sys.stderr, as_json=as_json)
    logs.set_up(LogSettings(format="json" if as_json else "text"), stream)

    def role(name: str) -> Role:
        command = Command(
            name=name,
            program=(sys.executable, "-I", "-c", BODY, name, str(folder)),
            folder=folder,
            environment=os.environ,
        )
        return Role(name=name, command=lambda: command, is_step=name == "later")

    def on_ready() -> None:
        with (folder / "events").open("a") as file:
            file.write("ready\n")

    groups = [[role(name) for name in group.split()] for group in plan.split(",")]
    supervisor = Supervisor(groups, stream, stop_timeout_s=1.5)
    try:
        return await supervisor.run(on_ready)
    finally:
        stream.close()


if __name__ == "__main__":
    where = Path(sys.argv[1])
    telemetry.share_between_processes(where / "metrics")
    sys.exit(asyncio.run(main(where, sys.argv[2], as_json="json" in sys.argv[3:])))
