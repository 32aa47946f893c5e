"""Lawful removals verify, others do not: the verifier with a manually built ledger."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.ledger.accounting.stored_frame import StoredFrame
from storage.ledger.data import data_body, marks_of
from storage.ledger.tree.chain import NO_ENTRY, entry_hash, rotation_statement
from storage.ledger.tree.merkle import tree_root
from storage.ledger.tree.notes import Head, public_bytes, sign, verifier_key
from storage.ledger.verify import Verifier, main
from storage.record.copy_binary import part_digest
from tests.support.records import (
    STREAM,
    as_version_1,
    make_frame,
    make_record,
    rows_with_nonces,
)

ORIGIN = "opslog/test"


def _of_an_older_release(body, frame):
    older = json.loads(body) | {"streams": [stream.digest.hex() for stream in frame.streams]}
    return json.dumps(older)


class Book:
    """A ledger builder, and the contents of the segments."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.public = verifier_key(ORIGIN, public_bytes(self.key))
        self.frames = [
            make_frame([make_record(message=f"{m} {n}") for n in range(4)]) for m in (1, 2)
        ]
        self.frames[1] = as_version_1(self.frames[1])
        self.entries, self.heads = [], []
        self.add("genesis", {"origin": ORIGIN, "key": self.public})
        for segment, frame in enumerate(self.frames, 1):
            body = data_body(StoredFrame(frame, frame.parts), {"info": segment})
            self.add_raw("data", body if segment == 1 else _of_an_older_release(body, frame))

    def add(self, kind, body):
        self.add_raw(kind, json.dumps(body))

    def add_raw(self, kind, body):
        before = bytes.fromhex(self.entries[-1][4]) if self.entries else NO_ENTRY
        seq = len(self.entries)
        hashed = entry_hash(seq, before, 1, kind, body).hex()
        self.entries.append([seq, 1, kind, body, hashed])

    def sign(self):
        root = tree_root([bytes.fromhex(entry[4]) for entry in self.entries])
        self.heads.append(sign(Head(ORIGIN, len(self.entries), root, 1), self.key))

    def part(self, place):
        return self.frames[place].parts[0]

    def rows(self, place):
        return rows_with_nonces(self.frames[place], self.part(place))

    def verified(self, segments, catalogue=(), trusted=""):
        """Check with these rows: segment -> [(place of frame, rows)], and further segments."""
        self.sign()
        verifier = Verifier(trusted or self.public)
        for note in self.heads:
            verifier.take({"head": [note]})
        for entry in self.entries:
            verifier.take({"entry": entry})
        for line in catalogue:
            verifier.take({"segment": list(line)})
        for number, stored in segments.items():
            verifier.take({"segment": [number, "info", "sealed", 1]})
            counts = {}
            parts = []
            for place, rows in stored:
                verifier.take({"rows": [b"".join(rows)]})
                minute, level, kind, module, _, _ = self.part(place).counts[0]
                key = (minute, ("DEBUG", "INFO")[level], kind, module)
                counts[key] = counts.get(key, 0) + len(rows)
                parts.append(
                    [self.frames[place].batch_id, len(rows), _base64(marks_of(self.part(place)))]
                )
            verifier.take({"end": [number, None, parts, [[*key, n] for key, n in counts.items()]]})
        for frame in self.frames:
            counters = [frame.received, 0, frame.rows, 0, 0, {}]
            verifier.take({"fact": ["batch", [frame.batch_id], counters]})
        texts = [STREAM.resource.decode(), STREAM.scope.decode(), "", ""]
        verifier.take({"fact": ["stream", [STREAM.id], texts]})
        for key in [key for key in verifier.facts if key[0] == "minute"]:
            verifier.take({"fact": ["minute", list(key[1:]), verifier.facts[key]]})
        verifier.take({"finish": ["opslog-evidence/1"]})
        return verifier


def _base64(data):
    import base64

    return base64.b64encode(data).decode()


@pytest.fixture
def book():
    return Book()


def leaf(book, place, row):
    return book.part(place).leaves[row * 32 : row * 32 + 32].hex()


def root(*leaves):
    return tree_root(leaves).hex()


def leaves_of(book, place):
    raw = book.part(place).leaves
    return [raw[at : at + 32] for at in range(0, len(raw), 32)]


def whole(book, *places):
    return [(place, book.rows(place)) for place in places]


def test_a_seal_matches_or_does_not(book):
    body = {"segment": 1, "class": "info", "rows": 4, "parts": 1, "root": root(*leaves_of(book, 0))}
    book.add("seal", body)
    book.add("seal", {**body, "segment": 2})

    found = book.verified({1: whole(book, 0), 2: whole(book, 1)})

    assert found.findings == [("integrity", "its rows are not those that were sealed", 2)]


def test_a_retired_segment_is_a_known_gap(book):
    book.add("retire", {"segment": 1, "class": "info", "rows": 4, "root": None, "policy": "30d"})

    found = book.verified({2: whole(book, 1)}, [(1, "info", "dropped", 0)])

    assert (found.findings, len(found.gaps)) == ([], 1)


def test_held_rows_of_a_retired_segment_are_checked(book):
    batch = book.frames[0].batch_id
    kept = leaves_of(book, 0)[1:3]
    digest = part_digest("info", batch, b"".join(kept), book.frames[0].encoding_version).hex()
    book.add(
        "retire",
        {"segment": 1, "class": "info", "rows": 2, "root": None, "policy": "30d", "to": 3,
         "kept": [[batch, 2, digest]]},
    )  # fmt: skip

    good = book.verified({2: whole(book, 1), 3: [(0, book.rows(0)[1:3])]})
    bad = book.verified({2: whole(book, 1), 3: [(0, book.rows(0)[1:2])]})

    assert good.findings == []
    assert {finding[2] for finding in bad.findings} == {3}


def test_merged_segments_keep_their_parts(book):
    book.add("merge", {"from": [1, 2], "to": 3, "class": "info", "rows": 8, "root": "00"})

    found = book.verified(
        {3: whole(book, 0, 1)}, [(1, "info", "dropped", 0), (2, "info", "retiring", -1)]
    )

    assert (found.findings, found.gaps) == ([], [])


def test_purged_rows_are_proved_by_their_leaves_and_no_others_are_missing(book):
    batch = book.frames[0].batch_id
    book.add(
        "purge",
        {"from": [1], "to": 3, "class": "info", "rows": 1, "root": "00", "by": "x", "reason": "y",
         "removed": [[batch, 2, leaf(book, 0, 2)]]},
    )  # fmt: skip
    rows = book.rows(0)

    good = book.verified({2: whole(book, 1), 3: [(0, [*rows[:2], rows[3]])]})
    bad = book.verified({2: whole(book, 1), 3: [(0, rows[:2])]})

    assert (good.findings, len(good.gaps)) == ([], 1)
    assert bad.findings[0] == ("completeness", "1 rows are missing from here on", 3, batch, 3)


def test_the_next_key_signs_after_a_rotation(book):
    new = Ed25519PrivateKey.generate()
    shown = verifier_key(ORIGIN, public_bytes(new))
    said = rotation_statement(ORIGIN, book.public, shown)
    body = {
        "old": book.public,
        "new": shown,
        "signature_old": _base64(book.key.sign(said)),
        "signature_new": _base64(new.sign(said)),
    }
    book.sign()
    book.add("key_rotate", body)
    old_key, book.key = book.key, new
    stored = {1: whole(book, 0), 2: whole(book, 1)}

    assert book.verified(stored).findings == []
    assert book.verified(stored, trusted=shown).findings == []
    book.key = old_key
    assert "not signed by the key" in book.verified(stored).findings[0][1]


@pytest.mark.parametrize("spoiled", ["signature_old", "old", "new"])
def test_a_key_that_the_old_one_did_not_sign_is_a_finding(book, spoiled):
    body = {
        "old": book.public,
        "new": book.public,
        "signature_old": "AA==",
        "signature_new": "AA==",
    }
    book.add("key_rotate", {**body, spoiled: "x+y+AAAA"})

    found = book.verified({1: whole(book, 0), 2: whole(book, 1)})

    assert found.findings == [
        ("integrity", "entry 3 rotates the key but is not signed by both keys")
    ]


def test_restorations_and_known_damage_are_known_gaps(book):
    book.heads.append(sign(Head(ORIGIN, 99, b"r" * 32, 1), book.key))
    book.add("restore", {"head": 99, "by": "x", "reason": "disk"})
    book.add("corrupt", {"what": "segment 7", "by": "seal"})
    book.add("hold", {"hold": 1, "by": "x", "reason": "y"})

    found = book.verified({1: whole(book, 0), 2: whole(book, 1)})

    assert found.findings == []
    assert found.gaps == ["entry 3: restore: disk", "entry 4: corrupt: segment 7"]


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"finish": ["opslog-evidence/1"]}', '{"nonsense": []}', '{"rows": ["AAAA"]}', "[]"],
)
def test_unreadable_input_gives_no_verdict(book, tmp_path, text, capsys):
    path = tmp_path / "export"
    path.write_text(text, "utf-8")

    assert main([str(path), "--key", book.public]) == 3
    assert main([str(path), "--key", "x+y+AAAA"]) == 3
    assert main([str(tmp_path / "none"), "--key", book.public]) == 3
    assert "cannot be verified" in capsys.readouterr().err
