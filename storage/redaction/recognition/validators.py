"""Validators: further conditions that a match must meet to count as a secret.

Each validator takes the matched bytes and does a bounded amount of work. Rules refer to them in
config/rules/*.toml; the table at the end is the complete list.
"""

import re
from base64 import b64decode, urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Final, TypeAlias

from storage.redaction.recognition.harmless import sentence, spoken
from storage.redaction.recognition.randomness import looks_random, mixed

Validator: TypeAlias = Callable[[bytes], bool]

_SINGLE: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_NOT_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789"))

# Prefixes and lengths published by the networks (ISO/IEC 7812): Visa, Mastercard (two series),
# American Express, Discover, Diners Club, JCB, UnionPay, Maestro, Mir.
_ISSUED: Final = re.compile(
    rb"""(?x) 4(?:\d{12}|\d{15}|\d{18})
    | (?:5[1-5]\d\d|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720))\d{12}
    | 3[47]\d{13}
    | (?:6011|64[4-9]\d|65\d\d)\d{12}(?:\d{3})?
    | (?:30[0-5]\d|3095|36\d\d|3[89]\d\d)\d{10}(?:\d\d|\d{5})?
    | 35(?:2[89]|[3-8]\d)\d{12}(?:\d{3})?
    | (?:62\d\d|220[0-4])\d{12,15}
    | (?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12}(?:\d{3})?"""
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
    return _ISSUED.fullmatch(digits) is not None and luhn(digits) and len(set(digits)) > 1


def iban(match: bytes) -> bool:
    """An account number whose remainder by 97 is 1 (ISO 13616-1, clause 6)."""
    plain = match.replace(b" ", b"").decode()
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def us_ssn(match: bytes) -> bool:
    """Numbers that may have been issued: no area 000, 666 or 9xx, no group 00, no serial 0000."""
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
    """Decoded base64 text in either alphabet, truncated if incomplete; empty if invalid."""
    whole = match.rstrip(b"=")[: 4 * 4096]
    whole = whole[: len(whole) - (len(whole) % 4 == 1)]
    try:
        return urlsafe_b64decode(
            whole.translate(bytes.maketrans(b"+/", b"-_")) + b"=" * (-len(whole) % 4)
        )
    except (Base64Error, ValueError):
        return b""


def jwt(match: bytes) -> bool:
    """Header and payload both begin an object, or the header is one with a JWT member (RFC 7519)."""
    header, _, rest = match.partition(b".")
    if header.startswith(b"eyJ") and rest.startswith(b"eyJ"):
        return True
    plain = unbase64(header)
    return (
        plain.lstrip().startswith(b"{") and re.search(rb'"(?:alg|typ|enc|kid)"', plain) is not None
    )


def basic(match: bytes) -> bool:
    """`user:password` in base64 (RFC 7617), unlike any word of a sentence."""
    plain = unbase64(match)
    return b":" in plain and all(byte >= 32 and byte != 127 for byte in plain)


def base64_private_key(match: bytes) -> bool:
    """Base64 of a PEM text that contains PRIVATE KEY, as in Kubernetes secrets."""
    return b"PRIVATE KEY" in b64decode(match[: len(match) // 4 * 4][:256])


def always(match: bytes) -> bool:
    """Accept every match: the shape is sufficient."""
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
    "random": looks_random,
    "sentence": sentence,
    "spoken": spoken,
    "us_ssn": us_ssn,
}
"""All validators that a rule may use."""
