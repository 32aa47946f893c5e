"""The file of hashed keys: complete or ignored."""

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
def test_an_invalid_file_is_ignored(tmp_path, content):
    """The keys are loaded from the database; the start does not fail."""
    path = tmp_path / "keys.json"
    path.write_bytes(content)

    assert read_snapshot(path) is None


def test_no_file_is_none(tmp_path):
    """At the first start."""
    assert read_snapshot(tmp_path / "keys.json") is None


def test_a_path_that_cannot_be_written_is_only_logged(tmp_path, caplog):
    """The file is a cache; the failure is logged."""
    write_snapshot(tmp_path / "absent" / "keys.json", KEYS)

    assert "cannot write" in caplog.text
