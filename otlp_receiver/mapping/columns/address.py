"""ipAddress: the client's, never that of the sender of the request (which is a collector).

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
"""SERVER and CONSUMER: on other spans these attributes name the other side."""

_LONGEST = 64
"""Characters of the longest text that can be an address with zone and port."""


_REMEMBERED = 16_384
_known: dict[str, bytes | None] = {}
"""Addresses come again and again; emptied when it is full."""


def parse_address(text: str) -> bytes | None:
    """4 or 16 bytes; port and zone dropped, IPv4 in IPv6 unwrapped; None for what is no address.

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
    """(address, source). The first attribute that says something decides, address or not.

    A proxy's address is worse than none where the client gave a name; only `audit.source.id`, which
    may be any id, is passed over.
    """
    for place, key in places:
        text = attributes[place].value
        if type(text) is not str or not text:
            continue
        address = _known.get(text)
        if address is None and len(text) <= _LONGEST and text not in _known:
            if len(_known) >= _REMEMBERED:
                _known.clear()
            address = _known[text] = parse_address(text)
        if address is not None:
            return address, key
        if key != AUDIT_KEY:
            return None, ""
    return None, ""
