"""A cursor is valid for one query of one installation only."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadInput
from query.planning.compile import Key
from query.planning.cursor import Cursors, Position

CURSORS = Cursors(b"k" * 32)
DIGEST = b"d" * 32
TIMES = st.none() | st.integers(-(10**23), 10**23)


@given(
    st.builds(
        Position,
        st.builds(
            Key,
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 999),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 2**31 - 1),
            st.binary(min_size=16, max_size=16),
        ),
        TIMES,
        TIMES,
    )
)
def test_what_is_sealed_is_opened(position):
    assert CURSORS.open(CURSORS.seal(position, DIGEST), DIGEST) == position


POSITION = Position(Key(1, 2, 3, 4, b"i" * 16), None, 10**18)


def test_every_flipped_bit_is_noticed():
    raw = bytearray(urlsafe_b64decode(CURSORS.seal(POSITION, DIGEST) + "=="))

    for bit in range(len(raw) * 8):
        raw[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadInput) as refused:
            CURSORS.open(urlsafe_b64encode(raw).decode().rstrip("="), DIGEST)
        assert refused.value.where == "cursor"
        raw[bit // 8] ^= 1 << bit % 8


def test_every_changed_letter_is_noticed():
    sealed = CURSORS.seal(POSITION, DIGEST)

    for place in range(len(sealed)):
        for letter in "A_-=z\n é":
            if letter != sealed[place]:
                with pytest.raises(BadInput):
                    CURSORS.open(sealed[:place] + letter + sealed[place + 1 :], DIGEST)


@pytest.mark.parametrize("text", ["", "x", "=", "AAAA", "é", "A" * 10**6, "%00"])
def test_forged_cursors_are_rejected(text):
    with pytest.raises(BadInput):
        CURSORS.open(text, DIGEST)


def test_a_cursor_of_another_query_is_rejected():
    with pytest.raises(BadInput):
        CURSORS.open(CURSORS.seal(POSITION, DIGEST), b"e" * 32)


def test_a_cursor_of_another_installation_is_rejected():
    with pytest.raises(BadInput):
        CURSORS.open(Cursors(b"other" * 8).seal(POSITION, DIGEST), DIGEST)
