"""Real worker and scheduler processes on a test's database and Valkey."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.support.product import _die_with_us


@contextmanager
def process(name: str, database, valkey, folder: Path, **environment: str):
    """`opslog worker`, `packer` or `scheduler`, ready; ended on leaving. Its log is in `folder`."""
    folder.mkdir(exist_ok=True)
    reader, writer = os.pipe()
    log = folder / f"{name}-{writer}.log"
    with log.open("ab") as output:
        running = subprocess.Popen(
            [sys.executable, "-P", "-m", "opslog", name],
            env={
                **{key: value for key, value in os.environ.items() if "OPSLOG" not in key},
                "OPSLOG_DATA_DIR": str(folder / "data"),
                "OPSLOG_DATABASE_URL": database.dsn,
                "OPSLOG_REDIS_URL": valkey.url,
                "OPSLOG_LOG__FORMAT": "text",
                "OPSLOG_STORAGE__PACKS_DIR": str(Path.cwd() / "packs"),
                "OPSLOG_READY_FD": str(writer),
                **environment,
            },
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(writer,),
            preexec_fn=_die_with_us,  # noqa: PLW1509 - one prctl, nothing that locks
        )
    os.close(writer)
    try:
        assert os.read(reader, 64) == b"READY=1\n", log.read_text()
        running.log = log
        yield running
    finally:
        os.close(reader)
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
