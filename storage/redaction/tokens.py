"""Replacements of secrets: markers, and keyed tokens that stay joinable.

A plain hash of an e-mail address or a card number can be reversed by brute force, so a token is an
HMAC; it contains the key's id, and old keys stay usable after a rotation.
"""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from config.errors import SetupError

_KEY_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_TOKEN: Final = re.compile(r"hmac:([a-z0-9][a-z0-9-]{0,31}):[0-9a-f]{32}")
_LEAST_KEY_BYTES: Final = 16


class HmacKeys:
    """Named keys, one of them current; the `repr` shows only names."""

    __slots__ = ("_keys", "current")

    def __init__(self, keys: Mapping[str, bytes], *, current: str) -> None:
        """Take the keys by id.

        Args:
            keys: id (`[a-z0-9-]`, at most 32 characters) to key (at least 16 bytes).
            current: the id that new tokens carry.

        Raises:
            SetupError: an id or a key is invalid, or `current` is not among them.
        """
        for name, key in keys.items():
            if not _KEY_ID.fullmatch(name):
                raise SetupError(f"redaction key id {name!r} must match {_KEY_ID.pattern}")
            if len(key) < _LEAST_KEY_BYTES:
                raise SetupError(f"redaction key {name!r} needs {_LEAST_KEY_BYTES} bytes or more")
        if current not in keys:
            raise SetupError(f"the current redaction key {current!r} does not exist")
        self._keys = dict(keys)
        self.current = current

    def __repr__(self) -> str:
        return f"HmacKeys({sorted(self._keys)}, current={self.current!r})"

    def token(self, value: bytes, *, key_id: str | None = None) -> str:
        """`hmac:<key id>:<32 hex digits>`; the same value and key give the same token."""
        name = key_id or self.current
        digest = hmac.digest(self._keys[name], value, sha256).hex()
        return f"hmac:{name}:{digest[:32]}"

    def tokens(self, value: bytes) -> list[str]:
        """The tokens of `value` under all keys, so that a search works across rotations."""
        return [self.token(value, key_id=name) for name in self._keys]

    def is_token(self, text: str) -> bool:
        """Whether `text` is a token that names one of these keys."""
        match = _TOKEN.fullmatch(text)
        return match is not None and match.group(1) in self._keys


def marker(rule: str) -> str:
    """The marker that replaces a match of `rule`."""
    return f"[REDACTED:{rule}]"
