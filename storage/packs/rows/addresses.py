"""inet as PostgreSQL sends it, and as text: `10.0.0.1`, `10.0.0.0/8`, `2001:db8::1`."""

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from storage.packs.errors import NotPackable

_V4, _V6 = 2, 3


@lru_cache(maxsize=8192)
def text_of(raw: bytes) -> bytes:
    """The text of an inet value. Raises NotPackable."""
    family, bits, is_cidr, size = raw[:4]
    if is_cidr or size != len(raw) - 4 or (family, size) not in {(_V4, 4), (_V6, 16)}:
        raise NotPackable("an address that is no inet value")
    text = inet_ntop(AF_INET if size == 4 else AF_INET6, raw[4:])
    return (text if bits == size * 8 else f"{text}/{bits}").encode()


@lru_cache(maxsize=8192)
def raw_of(text: bytes) -> bytes:
    """The inet value of such a text."""
    host, _, bits = text.decode().partition("/")
    packed = inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    size = len(packed)
    family = _V4 if size == 4 else _V6
    return bytes([family, int(bits) if bits else size * 8, 0, size]) + packed
