"""ipAddress: the client's, never that of the sender of the OTLP request (usually a collector).

Sources: semantic conventions, registry/client: `client.address` is the client "behind any
intermediaries" and may be a domain or a socket; registry/network: `network.peer.address` the
immediate peer; registry/deprecated: http.client_ip, net.sock.peer.addr, net.peer.ip.
"""

from ipaddress import IPv6Address, ip_address

from otlp_receiver.mapping.columns.texts import Places
from storage.record.record import Attribute

AUDIT_KEY = "audit.source.id"
KEYS = (
    AUDIT_KEY,
    "client.address",
    "source.address",
    "http.client_ip",
    "net.sock.peer.addr",
    "net.peer.ip",
    "network.peer.address",
)
SPAN_KINDS = frozenset({2, 5})
"""SERVER and CONSUMER: on other spans these attributes name the remote peer."""

_MAX_CHARACTERS = 64
"""Maximum characters of an address with zone and port."""


_MAX_ENTRIES = 16_384
_known: dict[str, bytes | None] = {}
"""Cache of parsed addresses; cleared when full."""


def parse_address(text: str) -> bytes | None:
    """4 or 16 bytes, without port and zone; IPv4-mapped IPv6 as IPv4; None if not an address.

    >>> parse_address("[::ffff:203.0.113.9]:443").hex(), parse_address("unix.sock")
    ('cb007109', None)
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.packed
    return address.packed


def address_of(attributes: list[Attribute], places: Places) -> tuple[bytes | None, str]:
    """(address, source). The first non-empty attribute decides, address or not.

    If the client is given by name, a proxy's address would be wrong; only `audit.source.id`, which
    may be any id, is skipped.
    """
    for place, key in places:
        text = attributes[place].value
        if type(text) is not str or not text:
            continue
        address = _known.get(text)
        if address is None and len(text) <= _MAX_CHARACTERS and text not in _known:
            if len(_known) >= _MAX_ENTRIES:
                _known.clear()
            address = _known[text] = parse_address(text)
        if address is not None:
            return address, key
        if key != AUDIT_KEY:
            return None, ""
    return None, ""
