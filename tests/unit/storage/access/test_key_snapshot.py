"""The file of hashed keys: whole or as good as absent."""

import pytest

from storage.access.ingest_keys import HashedKey, KeyTerms, digest_of
from storage.access.key_snapshot import read_snapshot, write_snapshot

KEYS = [HashedKey(1, "shop", digest_of("opslog_x"), KeyTerms(attributes={"é": [1, None]}), None)]


def test_what_was_written_is_read(tmp_path):
    """Also over an older file."""
    path = tmp_path / "keys.json"
    write_snapshot(path, [])
    write_snapshot(path, KEYS)

    assert read_snapshot(path) == KEYS


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version": 2, "keys": []}', b'{"version": 1, "keys": [{}]}', b"\xff"],
)
def test_a_file_that_is_no_snapshot_counts_as_none(tmp_path, content):
    """The database will tell; the start does not fail."""
    path = tmp_path / "keys.json"
    path.write_bytes(content)

    assert read_snapshot(path) is None


def test_no_file_is_none(tmp_path):
    """At the first start."""
    assert read_snapshot(tmp_path / "keys.json") is None


def test_a_place_that_cannot_be_written_does_no_harm(tmp_path, caplog):
    """It is a copy; the log says that there is none."""
    write_snapshot(tmp_path / "absent" / "keys.json", KEYS)

    assert "not written" in caplog.text
