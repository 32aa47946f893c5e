"""Second opinions: what a match must also be before it counts as a secret.

Each validator takes the matched bytes and costs a bounded amount of work. Rules name them in
config/rules/*.toml; the table at the end is the whole list.
"""

import re
from base64 import b64decode, urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Final, TypeAlias

from storage.redaction.harmless import sentence, spoken
from storage.redaction.randomness import mixed, random_looking

Validator: TypeAlias = Callable[[bytes], bool]

_SINGLE: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_NOT_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789"))

# Issuer ranges: (first, last, lengths). ISO/IEC 7812 prefixes as the networks publish them:
# Visa, Mastercard, American Express, Discover, Diners Club, JCB, UnionPay, Maestro, Mir.
_ISSUERS: Final = (
    (b"4", b"4", frozenset({13, 16, 19})),
    (b"51", b"55", frozenset({16})),
    (b"2221", b"2720", frozenset({16})),
    (b"34", b"34", frozenset({15})),
    (b"37", b"37", frozenset({15})),
    (b"6011", b"6011", frozenset({16, 19})),
    (b"644", b"649", frozenset({16, 19})),
    (b"65", b"65", frozenset({16, 19})),
    (b"300", b"305", frozenset({14, 16, 19})),
    (b"3095", b"3095", frozenset({14, 16, 19})),
    (b"36", b"36", frozenset({14, 16, 19})),
    (b"38", b"39", frozenset({14, 16, 19})),
    (b"3528", b"3589", frozenset({16, 19})),
    (b"62", b"62", frozenset({16, 17, 18, 19})),
    (b"2200", b"2204", frozenset({16, 17, 18, 19})),
    (b"5018", b"5018", frozenset({16, 19})),
    (b"5020", b"5020", frozenset({16, 19})),
    (b"5038", b"5038", frozenset({16, 19})),
    (b"5893", b"5893", frozenset({16, 19})),
    (b"6304", b"6304", frozenset({16, 19})),
    (b"6759", b"6759", frozenset({16, 19})),
    (b"6761", b"6763", frozenset({16, 19})),
)


def luhn(digits: bytes) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1, annex B.

    >>> luhn(b"4111111111111111"), luhn(b"4111111111111112")
    (True, False)
    """
    doubled, single = digits[-2::-2], digits[-1::-2]
    return (sum(doubled.translate(_DOUBLED)) + sum(single.translate(_SINGLE))) % 10 == 0


def card(match: bytes) -> bool:
    """A card number: an issuer's prefix with a length that issuer uses, and Luhn's check digit."""
    digits = match.replace(b"%20", b"").translate(None, _NOT_DIGITS)
    return (
        luhn(digits)
        and any(
            first <= digits[: len(first)] <= last and len(digits) in lengths
            for first, last, lengths in _ISSUERS
        )
        and len(set(digits)) > 1
    )


def iban(match: bytes) -> bool:
    """An account number whose remainder by 97 is 1 (ISO 13616-1, clause 6)."""
    plain = match.replace(b" ", b"").decode()
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def us_ssn(match: bytes) -> bool:
    """Numbers that were ever issued: no area 000, 666 or 9xx, no group 00, no serial 0000."""
    area, group, serial = match[:3], match[4:6], match[7:]
    return area not in {b"000", b"666"} and area < b"900" and group != b"00" and serial != b"0000"


def discord(match: bytes) -> bool:
    """The first part is a user's number in base64 (Discord reference, "Authentication")."""
    first = match.partition(b".")[0]
    return (
        match.startswith(b"mfa.")
        or unbase64(first).isdigit()
        or (first[:1] in b"MNO" and mixed(match))
    )


def unbase64(match: bytes) -> bytes:
    """What base64 text in either alphabet holds, as far as it goes; nothing when it is none."""
    whole = match.rstrip(b"=")[: 4 * 4096]
    whole = whole[: len(whole) - (len(whole) % 4 == 1)]
    try:
        return urlsafe_b64decode(
            whole.translate(bytes.maketrans(b"+/", b"-_")) + b"=" * (-len(whole) % 4)
        )
    except (Base64Error, ValueError):
        return b""


def jwt(match: bytes) -> bool:
    """Header and payload both begin an object, or the header says that it is one (RFC 7519)."""
    header, _, rest = match.partition(b".")
    if header.startswith(b"eyJ") and rest.startswith(b"eyJ"):
        return True
    plain = unbase64(header)
    return (
        plain.lstrip().startswith(b"{") and re.search(rb'"(?:alg|typ|enc|kid)"', plain) is not None
    )


def basic(match: bytes) -> bool:
    """`user:password` in base64 (RFC 7617), which no word of a sentence is."""
    plain = unbase64(match)
    return b":" in plain and all(byte >= 32 and byte != 127 for byte in plain)


def base64_private_key(match: bytes) -> bool:
    """Base64 of a PEM text that says PRIVATE KEY, as Kubernetes secrets hold it."""
    return b"PRIVATE KEY" in b64decode(match[: len(match) // 4 * 4][:256])


def always(match: bytes) -> bool:
    """The shape alone is proof."""
    return bool(match)


VALIDATORS: Final[dict[str, Validator]] = {
    "always": always,
    "base64_private_key": base64_private_key,
    "basic": basic,
    "card": card,
    "discord": discord,
    "iban": iban,
    "jwt": jwt,
    "mixed": mixed,
    "random": random_looking,
    "sentence": sentence,
    "spoken": spoken,
    "us_ssn": us_ssn,
}
"""Every validator that a rule may name."""
