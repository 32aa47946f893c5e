"""Damage of either file is detected, and reported with its location."""

import random
import shutil

import pytest

from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.verify import check_full, check_quick, rebuild_index, sha256_of
from tests.unit.storage.packs.packing import leaf_of_both, odd_rows, pack_of, shop_rows, tuples_of


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A pack of several blocks, for copies."""
    folder = tmp_path_factory.mktemp("original")
    rows = shop_rows(600)
    _, facts = pack_of(folder, rows, leaf=leaf_of_both, block_rows=256)
    return folder, facts, rows


@pytest.fixture
def made(original, tmp_path):
    """A copy of the pack that may be damaged."""
    folder, facts, rows = original
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return Pack(tmp_path, 7), facts, rows


def flip(path, at):
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def read_all(folder):
    pack = Pack(folder, 7)
    pack.index.check_all()
    return tuples_of(pack)


def test_hashes_are_those_of_the_files(made):
    pack, facts, _ = made

    check_quick(pack.path, facts.data_sha256)
    check_quick(pack.index.path, facts.index_sha256)
    assert pack.path.stat().st_mode & 0o777 == 0o440
    assert facts.file_bytes == pack.path.stat().st_size + pack.index.path.stat().st_size


def test_an_intact_pack_is_verified(made):
    pack, facts, _ = made

    found = check_full(pack, leaf_of_both)

    assert found.is_intact
    assert found.parts == facts.parts


def test_flipped_bits_of_the_data_are_detected(made, tmp_path):
    pack, facts, rows = made
    data = pack.path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    chance = random.Random(1)
    places = [*(chance.randrange(4, footer) for _ in range(40)), 0, len(data) - 1, footer + 9]
    for at in places:
        flip(pack.path, at)
        with pytest.raises(PackDamaged):
            check_quick(pack.path, facts.data_sha256)
        try:
            assert read_all(tmp_path) == rows
        except PackDamaged as error:
            assert "7.parquet" in str(error)  # noqa: PT017 - or no error at all
        flip(pack.path, at)


def test_flipped_bits_of_the_index_are_detected(made, tmp_path):
    pack, _, rows = made
    size = pack.index.path.stat().st_size
    chance = random.Random(2)
    for at in [chance.randrange(size) for _ in range(40)] + [0, 9, 13, 20]:
        flip(pack.index.path, at)
        try:
            # Padding between sections is not covered by a hash.
            assert read_all(tmp_path) == rows
        except PackDamaged as error:
            assert "7.idx" in str(error)  # noqa: PT017 - or no error at all
        flip(pack.index.path, at)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("ending", ["parquet", "idx"])
def test_truncated_files_are_refused(made, tmp_path, share, ending):
    path = tmp_path / f"7.{ending}"
    path.chmod(0o600)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(PackDamaged, match=f"7.{ending}"):
        read_all(tmp_path)


@pytest.mark.parametrize("ending", ["parquet", "idx"])
def test_missing_files_are_reported(made, tmp_path, ending):
    (tmp_path / f"7.{ending}").unlink()

    with pytest.raises(PackDamaged, match=f"7.{ending}"):
        Pack(tmp_path, 7)


def test_files_of_other_packs_are_refused(made, tmp_path):
    other, _ = pack_of(tmp_path, odd_rows(), segment=8, leaf=leaf_of_both)
    other.index.path.rename(tmp_path / "9.idx")
    other.path.rename(tmp_path / "9.parquet")
    with pytest.raises(PackDamaged, match="index of segment 8"):
        Pack(tmp_path, 9)
    (tmp_path / "9.parquet").replace(tmp_path / "7.parquet")
    with pytest.raises(PackDamaged, match="its size"):
        Pack(tmp_path, 7)


def test_a_changed_row_is_located(made):
    """The marks of the index show which row differs."""
    pack, _, _ = made

    def other_leaf(class_name, batch_id, position, row, nonce):
        leaf = leaf_of_both(class_name, batch_id, position, row, nonce)
        return bytes(32) if position == 300 else leaf

    found = check_full(pack, other_leaf)

    assert found.first_bad == (1, 300 - 256)


@pytest.mark.parametrize("rows", [shop_rows(600), odd_rows()])
def test_the_index_is_rebuilt_to_the_byte(tmp_path, rows):
    pack, facts = pack_of(tmp_path, rows, leaf=leaf_of_both, block_rows=256)

    digest = rebuild_index(pack.path, tmp_path / "again.idx", leaf_of_both)

    assert (tmp_path / "again.idx").read_bytes() == pack.index.path.read_bytes()
    assert digest == facts.index_sha256 == sha256_of(pack.index.path)


def test_no_index_is_rebuilt_for_another_file(tmp_path):
    (tmp_path / "1.parquet").write_bytes(b"PAR1 and nothing else PAR1")

    with pytest.raises(PackDamaged):
        rebuild_index(tmp_path / "1.parquet", tmp_path / "1.idx")
