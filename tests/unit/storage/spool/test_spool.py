"""The spool: frames for which append has returned are never lost, whatever happens to the files."""

import asyncio
import errno
import json
import os
import random
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from config.errors import SetupError
from config.settings import SpoolSettings
from storage import failpoints
from storage.errors import SpoolBusy, SpoolFailed, SpoolFull, SpoolSlow
from storage.spool import files
from storage.spool import frame as frames
from storage.spool.frame import encode_frame
from storage.spool.index import index_path
from storage.spool.spool import Spool
from tests.support.records import make_frame, make_record
from tests.support.waiting import until

SMALL = SpoolSettings(file_bytes=64 * 1024, min_free_bytes=0, max_bytes=4 * 2**20)
MEMORY = 2**20


@pytest.fixture(autouse=True)
def _no_failpoints():
    yield
    failpoints.configure("")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "receiver-0"


@pytest.fixture
def quick_folder():
    """In memory, if available: for tests that open a spool hundreds of times."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as made:
        yield Path(made) / "receiver-0"


async def opened(folder, settings=SMALL, memory=MEMORY, **options) -> Spool:
    return await Spool.open(folder, settings, memory, **options)


async def append(spool: Spool, count: int, rows: int = 3) -> list[int]:
    """Append frames one by one; their batch ids."""
    sent = []
    for _ in range(count):
        frame = make_frame([make_record() for _ in range(rows)])
        await spool.append(frame)
        sent.append(frame.batch_id)
    return sent


async def drain(spool: Spool) -> list[int]:
    """Take and release until nothing waits; the batch ids in order."""
    got = []
    while not spool.is_drained():
        taken = await asyncio.wait_for(spool.take(10, 2**20, 0), 5)
        got += [item.frame.batch_id for item in taken]
        spool.release(taken)
    return got


def crash(spool: Spool) -> None:
    """Release the folder like a killed process: nothing is finished, nothing is deleted."""
    spool._lock.release()
    commit = spool._commit
    if commit._thread.ident is not None:
        commit._jobs.put(None)
        commit._thread.join(10)
    if commit._descriptor >= 0:
        os.close(commit._descriptor)


def heads(path: Path) -> list[frames.FrameHead]:
    """The heads of the frames of a valid spool file."""
    content, at, found = path.read_bytes(), files.FILE_HEADER_BYTES, []
    while at < len(content):
        found.append(frames.read_head(content, at))
        at += found[-1].size
    return found


async def test_what_was_appended_is_taken_in_order(folder):
    spool = await opened(folder)

    sent = await append(spool, 30)

    assert await drain(spool) == sent
    await spool.close()


async def test_requests_during_a_sync_share_the_next_one(folder):
    spool = await opened(folder)

    await asyncio.gather(*[append(spool, 1) for _ in range(50)])

    assert spool.state.appended_frames == 50
    assert spool.state.groups <= 3
    await spool.close()


async def test_unreleased_frames_are_replayed_after_a_crash(folder):
    spool = await opened(folder)
    sent = await append(spool, 20)
    taken = await spool.take(9, 2**20, 0)
    assert taken
    crash(spool)

    again = await opened(folder)

    assert again.state.waiting_frames == 20
    assert again.state.last_batch_id == max(sent)
    assert await drain(again) == sent
    await again.close()


async def test_files_are_deleted_when_all_their_frames_are_released(folder):
    spool = await opened(folder)
    await append(spool, 200, rows=5)
    assert len(files.spool_files(folder)) > 3

    await drain(spool)

    assert len(files.spool_files(folder)) == 1
    assert spool.state.used_bytes < SMALL.file_bytes * 2
    await spool.close()


async def test_a_closed_spool_keeps_its_last_batch_id(folder):
    spool = await opened(folder)
    sent = await append(spool, 3)
    await drain(spool)
    await spool.close()

    again = await opened(folder)

    assert again.state.waiting_frames == 0
    assert again.state.last_batch_id == max(sent)
    await again.close()


async def test_frames_beyond_the_memory_limit_are_read_back_from_disk(folder):
    spool = await opened(folder, memory=20_000)
    sent = await append(spool, 60)

    async def more():
        return await append(spool, 60)

    second, first = await asyncio.gather(more(), drain(spool))
    rest = await drain(spool)

    assert first + rest == sent + second
    assert len(set(first + rest)) == 120
    await spool.close()


async def test_a_frame_longer_than_one_read_is_read_back(folder):
    spool = await opened(folder, SMALL.model_copy(update={"max_bytes": 2**24}), memory=1)
    large = make_frame([make_record(message=os.urandom(2**20).hex())])
    await append(spool, 1)
    await spool.append(large)

    first, second = await spool.take(1, 1, 0), await spool.take(1, 1, 0)

    assert [item.frame.rows for item in first] == [3]
    assert [item.frame for item in second] == [large]
    assert spool.limit_bytes == 2**24
    spool.release([*first, *second])
    await spool.close()


async def test_an_idle_writer_lingers_for_more_frames(folder):
    spool = await opened(folder)
    taking = asyncio.create_task(spool.take(100, 2**20, 0.05))
    await asyncio.sleep(0)

    await append(spool, 1)
    await append(spool, 1)

    assert len(await taking) == 2
    await spool.close()


async def test_a_writer_with_few_frames_lingers_as_well(folder):
    spool = await opened(folder)
    await append(spool, 1)
    taking = asyncio.create_task(spool.take(100, 2**20, 0.05))
    await asyncio.sleep(0)

    await append(spool, 1)

    assert len(await taking) == 2
    await spool.close()


async def test_a_writer_with_many_frames_takes_them_at_once(folder):
    spool = await opened(folder)
    await append(spool, 9, rows=3)

    taken = await asyncio.wait_for(spool.take(100, 2**20, 3600), 10)

    assert len(taken) == 9
    await spool.close()


async def test_a_torn_tail_is_truncated_wherever_it_is_torn(quick_folder):
    whole = b"".join(encode_frame(make_frame([make_record()])))
    quick_folder.mkdir()
    first = make_frame([make_record()])
    kept = files.file_header(1, 0) + b"".join(encode_frame(first))
    for length in range(1, len(whole)):
        files.file_path(quick_folder, 1).write_bytes(kept + whole[:length])

        spool = await opened(quick_folder)

        assert spool.state.waiting_frames == 1, length
        assert await drain(spool) == [first.batch_id]
        assert spool.state.quarantined_frames == 0
        crash(spool)
        for _, path in files.spool_files(quick_folder):
            path.unlink()


def head_bytes(piece: bytes) -> int:
    """Prefix and header of an encoded frame."""
    return frames.PREFIX_BYTES + int.from_bytes(piece[8:12], "big")


async def test_any_damaged_byte_costs_at_most_its_frame(quick_folder):
    """Each byte of prefix and header, and some of the rest."""
    sound = [make_frame([make_record()]) for _ in range(3)]
    pieces = [b"".join(encode_frame(frame)) for frame in sound]
    content = files.file_header(1, 0) + b"".join(pieces)
    start = files.FILE_HEADER_BYTES + len(pieces[0])
    quick_folder.mkdir()
    head = head_bytes(pieces[1])
    chance = random.Random(3)
    places = [*range(head), *chance.sample(range(head, len(pieces[1])), 60)]
    for place in places:
        damaged = bytearray(content)
        damaged[start + place] ^= chance.randrange(1, 256)
        files.file_path(quick_folder, 1).write_bytes(damaged)

        spool = await opened(quick_folder)
        got = await drain(spool)

        assert not spool.state.untouched_files, place
        assert got == [sound[0].batch_id, sound[2].batch_id], place
        assert spool.state.quarantined_frames == 1
        assert spool.is_drained()
        crash(spool)
        for _, path in files.spool_files(quick_folder):
            path.unlink()


async def test_a_damaged_file_header_costs_no_frame(quick_folder):
    sound = [make_frame([make_record()]) for _ in range(2)]
    content = files.file_header(1, 7) + b"".join(b"".join(encode_frame(each)) for each in sound)
    quick_folder.mkdir()
    for place in range(files.FILE_HEADER_BYTES):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        files.file_path(quick_folder, 1).write_bytes(damaged)

        spool = await opened(quick_folder)

        assert await drain(spool) == [frame.batch_id for frame in sound]
        assert spool.state.quarantined_frames == 0
        crash(spool)
        for _, path in files.spool_files(quick_folder):
            path.unlink()


@pytest.mark.parametrize("seed", range(40))
async def test_any_number_of_damages_costs_no_other_frame(quick_folder, seed):
    """Bits turned, stretches of zeros, pieces cut out or put in: what is whole comes out, in order."""
    chance = random.Random(seed)
    sound = [make_frame([make_record() for _ in range(3)]) for _ in range(12)]
    pieces = [b"".join(encode_frame(frame)) for frame in sound]
    spoiled = set(chance.sample(range(12), chance.randrange(1, 5)))
    content = [files.file_header(1, 0)]
    for number, piece in enumerate(pieces):
        content.append(damaged_piece(piece, chance) if number in spoiled else piece)
    quick_folder.mkdir()
    files.file_path(quick_folder, 1).write_bytes(b"".join(content))

    spool = await opened(quick_folder)
    got = await drain(spool)

    whole = [frame.batch_id for number, frame in enumerate(sound) if number not in spoiled]
    assert got == whole
    # A frame truncated at the end of the file is a write that was never acknowledged.
    assert bool(spool.state.quarantined_frames) or spoiled == {11}
    await spool.close()


def damaged_piece(piece: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(piece))
    size = chance.randrange(1, len(piece))
    return {
        "bit": piece[:place]
        + bytes([piece[place] ^ 1 << chance.randrange(8)])
        + piece[place + 1 :],
        "zeros": (piece[:place] + bytes(size))[: len(piece)].ljust(len(piece), b"\0"),
        "cut": piece[:place] + piece[place + size :],
        "noise": piece[:place] + b"\xf5OPL" + chance.randbytes(size) + piece[place:],
    }[chance.choice(("bit", "zeros", "cut", "noise"))]


@pytest.mark.parametrize("size", [1, 30, 5000])
async def test_zeros_at_the_end_are_an_unacknowledged_write(folder, size):
    """A power failure may leave them where a file had grown before its bytes were written."""
    frame = make_frame([make_record()])
    folder.mkdir()
    content = files.file_header(1, 0) + b"".join(encode_frame(frame))
    files.file_path(folder, 1).write_bytes(content + bytes(size))

    spool = await opened(folder)

    assert await drain(spool) == [frame.batch_id]
    assert spool.state.quarantined_frames == 0
    await spool.close()


async def test_quarantine_keeps_the_bytes_and_a_note(folder):
    frame = make_frame([make_record(), make_record()])
    damaged = bytearray(b"".join(encode_frame(frame)))
    damaged[-20] ^= 1
    folder.mkdir()
    files.file_path(folder, 1).write_bytes(files.file_header(1, 0) + damaged)

    spool = await opened(folder)
    assert await drain(spool) == []

    note = json.loads(next((folder / "quarantine").glob("*.json")).read_text())
    assert note["rows"] == 2
    assert next((folder / "quarantine").glob("*.frame")).read_bytes() == bytes(damaged)
    assert spool.state.quarantined_rows == 2
    await spool.close()


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"garbage" * 900, b"OPS", None])
async def test_a_file_of_anything_never_stops_the_start(folder, content):
    folder.mkdir()
    place = files.file_path(folder, 3)
    place.write_bytes(os.urandom(3000) if content is None else content)

    spool = await opened(folder)
    sent = await append(spool, 2)

    assert await drain(spool) == sent
    assert not place.exists()
    await spool.close()


async def test_a_file_of_a_newer_release_is_left_unchanged(folder, monkeypatch):
    folder.mkdir()
    monkeypatch.setattr(frames, "FRAME_VERSION", 9)
    content = files.file_header(1, 0) + b"".join(encode_frame(make_frame([make_record()])))
    monkeypatch.undo()
    files.file_path(folder, 1).write_bytes(content)

    spool = await opened(folder)
    sent = await append(spool, 1)

    assert await drain(spool) == sent
    assert files.file_path(folder, 1).read_bytes() == content
    assert "frame version 9" in spool.state.untouched_files[0]
    await spool.close()


async def test_a_full_spool_rejects_and_stores_nothing(folder):
    spool = await opened(folder, SpoolSettings(file_bytes=2**19, max_bytes=2**20, min_free_bytes=0))
    big = [make_record(message="x" * 60_000) for _ in range(10)]
    await spool.append(make_frame(big))

    with pytest.raises(SpoolFull) as caught:
        await spool.append(make_frame(big))

    assert caught.value.status == 503
    assert 1 <= caught.value.retry_after_s <= 3
    assert not spool.has_space() or spool.state.used_bytes < 2**20
    assert len(await drain(spool)) == 1
    await spool.close()


async def test_a_nearly_full_disk_rejects_before_writes_fail(folder):
    spool = await opened(folder, SpoolSettings(min_free_bytes=2**60))

    with pytest.raises(SpoolFull):
        await append(spool, 1)

    assert not spool.has_space()
    await spool.close()


@pytest.mark.parametrize("place", ["spool.before_write", "spool.before_fsync"])
@pytest.mark.parametrize("action", ["enospc", "eio", "raise"])
async def test_a_failed_write_is_never_acknowledged(folder, place, action):
    spool = await opened(folder)
    before = await append(spool, 1)
    failpoints.configure(f"{place}={action}@1")

    with pytest.raises(SpoolFailed):
        await append(spool, 1)

    assert not spool.has_space()
    after = await append(spool, 2)
    assert spool.has_space()
    crash(spool)
    again = await opened(folder)
    assert await drain(again) == before + after
    await again.close()


async def test_a_file_whose_sync_failed_is_never_synced_again(folder):
    spool = await opened(folder)
    await append(spool, 1)
    failpoints.configure("spool.before_fsync=eio@1")
    with pytest.raises(SpoolFailed):
        await append(spool, 1)

    await append(spool, 1)

    numbers = [number for number, _ in files.spool_files(folder)]
    assert numbers == [1, 2]
    assert len(files.scan_file(files.file_path(folder, 2)).damages) == 0
    await drain(spool)
    await spool.close()


@pytest.mark.parametrize("most", [1, 37, 10**9])
async def test_partial_writes_are_completed(folder, monkeypatch, most):
    """A group of many pieces is complete although each call writes only some bytes."""
    real = os.pwritev

    def in_parts(descriptor, pieces, at):
        return real(descriptor, [b"".join(pieces)[:most]], at)

    monkeypatch.setattr("os.pwritev", in_parts)
    monkeypatch.setattr("storage.spool.group_commit._MOST_PIECES", 3)
    spool = await opened(folder)
    sent = await append(spool, 3)
    crash(spool)

    assert await drain(await opened(folder)) == sent


async def test_a_write_of_nothing_is_a_failure(folder, monkeypatch):
    spool = await opened(folder)
    await append(spool, 1)
    monkeypatch.setattr("os.pwritev", lambda *_: 0)

    with pytest.raises(SpoolFailed):
        await append(spool, 1)

    monkeypatch.undo()
    await append(spool, 1)


async def test_the_spool_recovers_when_no_file_can_be_created(folder, monkeypatch):
    spool = await opened(folder)
    failpoints.configure("spool.before_fsync=enospc@1")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("storage.spool.group_commit.sync_folder", refuse)
    for _ in range(2):
        with pytest.raises(SpoolFailed):
            await append(spool, 1)
    monkeypatch.undo()
    with pytest.raises(SpoolFailed):
        await append(spool, 1)

    sent = await append(spool, 1)

    assert await drain(spool) == sent
    await spool.close()


async def test_the_frame_of_a_disconnected_sender_is_stored(folder):
    spool = await opened(folder)
    sending = asyncio.create_task(append(spool, 1))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert len(await asyncio.wait_for(spool.take(1, 1, 0), 5)) == 1
    await spool.close()


async def test_closing_waits_for_the_running_sync(folder):
    spool = await opened(folder)
    sending = asyncio.create_task(append(spool, 1))
    await asyncio.sleep(0)

    await spool.close()

    assert len(await asyncio.wait_for(sending, 5)) == 1
    assert not spool.is_drained()


async def test_a_hanging_disk_times_out_and_keeps_no_retries(folder):
    spool = await opened(folder, SMALL.model_copy(update={"append_timeout_s": 0.05}))
    failpoints.configure("spool.before_fsync=sleep:0.5@1")
    hanging = asyncio.create_task(append(spool, 1))
    await asyncio.sleep(0)

    refused = await asyncio.gather(*[append(spool, 1) for _ in range(5)], return_exceptions=True)
    with pytest.raises(SpoolSlow):
        await hanging
    with pytest.raises(SpoolSlow):  # at once: nobody else waits for what hangs
        await append(spool, 1)

    assert [type(error) for error in refused] == [SpoolSlow] * 5
    assert not spool.has_space()
    await until(lambda: spool.state.appended_frames)
    assert spool.has_space()
    await append(spool, 1)
    assert spool.state.waiting_frames == 2  # the one that hung, and the one after
    assert spool._commit.pending_bytes == 0
    await drain(spool)
    await spool.close()


async def test_a_write_that_completes_at_the_timeout_is_not_reported_as_hanging(
    folder, monkeypatch
):
    """Otherwise the spool would count as failed until the next record."""
    spool = await opened(folder)

    async def too_late(*_):
        raise SpoolSlow(1.0)

    monkeypatch.setattr(spool._commit, "add", too_late)
    with pytest.raises(SpoolSlow):
        await append(spool, 1)

    assert not spool.state.failure
    assert spool.has_space()
    monkeypatch.undo()
    await spool.close()


async def test_a_bug_in_the_accounting_leaves_no_sender_waiting(folder, monkeypatch):
    """The sender gets a retryable error, the handler the bug; the next frame is stored."""
    spool = await opened(folder)
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    def defect(*_):
        raise MemoryError

    monkeypatch.setattr(spool, "_arrived", defect)
    with pytest.raises(SpoolFailed, match="internal error: MemoryError"):
        await append(spool, 1)
    monkeypatch.undo()

    assert isinstance(errors[0]["exception"], MemoryError)
    sent = await append(spool, 1)
    assert await drain(spool) == sent
    await asyncio.wait_for(spool.close(), 5)


async def test_written_frames_are_not_kept_in_memory(folder):
    """Not even the last one, while nothing else arrives."""
    spool = await opened(folder)
    frame = make_frame([make_record()])
    last = frame.parts[0].copy_bytes
    await spool.append(frame)
    del frame
    assert len(await drain(spool)) == 1

    await until(lambda: sys.getrefcount(last) == 2)  # the test's, and the call's
    await spool.close()


def test_closing_the_loop_during_a_write_is_harmless(folder, monkeypatch):
    """As at an abrupt end of a process."""
    died = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    failpoints.configure("spool.before_write=sleep:0.3")

    async def begin():
        spool = await opened(folder)
        asyncio.get_running_loop().create_task(append(spool, 1))
        await asyncio.sleep(0.05)
        return spool

    spool = asyncio.run(begin())
    spool._commit._jobs.put(None)
    spool._commit._thread.join(5)

    assert not spool._commit._thread.is_alive()
    assert not died
    spool._lock.release()


async def test_a_second_owner_is_rejected(folder):
    spool = await opened(folder)

    with pytest.raises(SpoolBusy, match=str(os.getpid())):
        await opened(folder)

    await spool.close()


async def test_a_folder_that_cannot_be_created_is_reported_clearly(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SetupError, match=r"spool\.directory"):
        await opened(tmp_path / "file" / "receiver-0")


def test_a_folder_that_cannot_be_locked_is_reported_clearly(folder, monkeypatch):
    """Some network file systems do not support locks."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)

    with pytest.raises(SetupError, match="cannot be locked: No locks available"):
        files.FolderLock(folder)


async def test_an_orphan_is_adopted_drained_and_emptied(folder):
    orphan = folder.parent / "receiver-1"
    spool = await opened(orphan)
    sent = await append(spool, 5)
    crash(spool)
    own = await opened(folder)

    assert list(files.other_spools(folder)) == [orphan]
    adopted = await opened(orphan, adopt=True)

    assert await drain(adopted) == sent
    assert files.spool_files(orphan) == []
    await adopted.close()
    await own.close()


def test_the_identity_stays(tmp_path):
    first = files.load_identity(tmp_path)
    first.spool_id = 7
    files.save_identity(tmp_path, first)

    assert files.load_identity(tmp_path) == first


def test_a_failpoint_that_does_not_exist_stops_the_start():
    with pytest.raises(SetupError, match=r"spool\.nowhere"):
        failpoints.configure("spool.nowhere=kill")
    with pytest.raises(SetupError, match="explode"):
        failpoints.configure("spool.before_write=explode")


def test_a_failpoint_fires_at_its_turn():
    failpoints.configure("writer.mid_copy=raise@2,spool.after_fsync=sleep:0")

    failpoints.reach("writer.mid_copy")
    failpoints.reach("spool.after_fsync")
    with pytest.raises(failpoints.FailpointHit):
        failpoints.reach("writer.mid_copy")
    failpoints.reach("writer.mid_copy")
    failpoints.reach("ack.sent")


async def test_a_deleted_file_is_reported_missing(folder):
    """F22: its index lists its frames, and the database tells which of them are stored."""
    spool = await opened(folder)
    sent = await append(spool, 200, rows=2)
    crash(spool)
    _, (_, taken_away), *_ = files.spool_files(folder)
    held = dict.fromkeys([head.batch_id for head in heads(taken_away)], 2)
    taken_away.unlink()

    again = await opened(folder)

    (missing,) = again.missing
    assert missing.spool_file == taken_away
    assert missing.rows_by_batch == held
    assert set(await drain(again)) == set(sent) - set(held)

    again.report_missing(missing, [2, 2])

    (note,) = files.quarantined_in(folder)
    assert (note.file, note.size, note.rows, note.is_entered) == (taken_away.name, 0, 4, False)
    assert "2 acknowledged requests in it are not" in note.reason
    assert (again.state.quarantined_frames, again.state.quarantined_rows) == (2, 4)
    await again.close()
    assert (await opened(folder)).missing == []


async def test_an_index_whose_frames_are_all_stored_is_deleted_silently(folder):
    """The process ended between deleting a file and deleting its index."""
    spool = await opened(folder)
    await append(spool, 200)
    crash(spool)
    (_, gone), *_ = files.spool_files(folder)
    gone.unlink()
    again = await opened(folder)

    again.report_missing(again.missing.pop(), [])

    assert files.quarantined_in(folder) == []
    await drain(again)
    await again.close()
    assert list(folder.glob("*.frames")) == []


async def test_a_torn_index_is_read_as_far_as_possible(folder):
    spool = await opened(folder)
    await append(spool, 200)
    crash(spool)
    (_, gone), *_ = files.spool_files(folder)
    whole = {head.batch_id: 3 for head in heads(gone)[:-1]}
    index = index_path(gone)
    index.write_bytes(index.read_bytes()[:-9])
    gone.unlink()

    (missing,) = (await opened(folder)).missing

    assert missing.rows_by_batch == whole


async def test_an_index_that_cannot_be_written_is_ignored(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = await opened(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", refuse)
        sent = await append(spool, 200)

    assert list(folder.glob("*.frames")) == []
    assert await drain(spool) == sent
    await spool.close()
