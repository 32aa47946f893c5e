"""Keyed tokens: joinable, rotatable; invalid keys are rejected."""

import pytest

from config.errors import SetupError
from storage.redaction.tokens import HmacKeys, marker

OLD, NEW = b"o" * 32, b"n" * 32


def test_a_token_names_its_key() -> None:
    """So that its key can be identified, also after a rotation."""
    keys = HmacKeys({"old": OLD, "new": NEW}, current="new")

    token = keys.token(b"a@b.example")

    assert token.startswith("hmac:new:")
    assert token == keys.token(b"a@b.example")
    assert token != keys.token(b"c@d.example")
    assert keys.tokens(b"a@b.example") == [keys.token(b"a@b.example", key_id="old"), token]


def test_own_tokens_are_recognized() -> None:
    """Those of keys that this installation has."""
    keys = HmacKeys({"k1": OLD}, current="k1")

    assert keys.is_token(keys.token(b"x"))
    assert not keys.is_token("hmac:k2:" + "0" * 32)
    assert not keys.is_token("hmac:k1:short")


@pytest.mark.parametrize(
    ("keys", "current"),
    [({"K!": OLD}, "K!"), ({"k1": b"short"}, "k1"), ({"k1": OLD}, "k2")],
)
def test_invalid_keys_are_rejected(keys: dict[str, bytes], current: str) -> None:
    """At start, with the key's name and never its bytes."""
    with pytest.raises(SetupError) as error:
        HmacKeys(keys, current=current)
    assert "short" not in str(error.value)


def test_the_marker_names_the_rule() -> None:
    """And nothing else."""
    assert marker("email") == "[REDACTED:email]"
