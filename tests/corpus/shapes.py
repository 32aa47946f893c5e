"""Numbers that have the shape of a card's and are none, and cards: made up, in their surroundings.

Redaction is measured on both: how many of the former it destroys, how many of the latter it misses.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Make = Callable[[random.Random], str]


@dataclass(frozen=True)
class Shape:
    """A kind of number: how it is made, and what stands around it."""

    name: str
    make: Make
    texts: tuple[str, ...]
    """Around the number, at `@`."""
    keys: tuple[str, ...]
    """Attributes that have the number as their value."""


def digits(some: random.Random, count: int) -> str:
    """Random digits."""
    return "".join(some.choice("0123456789") for _ in range(count))


def with_luhn(number: str) -> str:
    """The number with the check digit of ISO/IEC 7812-1, which IMEIs have as well."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return number + str(-total % 10)


def with_gs1(number: str) -> str:
    """The number with the check digit of GS1 (EAN, GTIN)."""
    total = sum(
        int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(number))
    )
    return number + str(-total % 10)


def ean(some: random.Random) -> str:
    """A German article number."""
    return with_gs1(f"4{some.randrange(4)}{digits(some, 10)}")


def imei(some: random.Random) -> str:
    """Of a device; all of them have a valid check digit."""
    return with_luhn(some.choice(["35", "86", "01", "34", "37"]) + digits(some, 12))


def order(some: random.Random) -> str:
    """An order number of 14 to 16 digits, also one that begins like a card."""
    return some.choice(["", "4", "5105", "6011", "36", "30"]) + digits(some, 12)


def block(some: random.Random) -> str:
    """A block of HDFS: a random signed 64-bit number."""
    return str(some.randrange(-(2**63), 2**63))


def phone(some: random.Random) -> str:
    """In international format without blanks, of 13 digits."""
    return f"4{some.choice('1349')}{digits(some, 11)}"


def milliseconds(some: random.Random) -> str:
    """Since 1970, of this decade and of 2100."""
    return str(some.randrange(1_700_000_000_000, 4_102_444_800_000))


def nanoseconds(some: random.Random) -> str:
    """Since 1970, until 2039."""
    return str(some.randrange(17 * 10**17, 22 * 10**17))


OTHERS = (
    Shape(
        "EAN",
        ean,
        ("scanned @ at till 7", "ean @ not found", '"ean":"@"', "@", "gtin=@ qty=2"),
        ("ean", "article.ean", "product_code", "barcode", "sku"),
    ),
    Shape(
        "IMEI", imei, ("imei @ attached", '{"imei":"@"}', "device imei=@"), ("imei", "device.imei")
    ),
    Shape(
        "order number",
        order,
        (
            "order @ placed",
            "orderId=@",
            "order no. @",
            '"order_id": @',
            "GET /orders/@/items",
            "id=@",
            "order number: @",
            "order #@",
        ),
        ("order.id", "orderId", "order_number", "id", "resource.id"),
    ),
    Shape(
        "HDFS block",
        block,
        (
            "Receiving block blk_@ src: /10.250.19.102",
            "Deleting block blk_@ file",
            "blk_@",
            "BLOCK* ask to delete blk_@",
        ),
        ("block.id", "blk", "hdfs.block_id"),
    ),
    Shape(
        "phone number",
        phone,
        ("sms to @ sent", "tel @", "call +@ ended", "msisdn=@"),
        ("phone", "msisdn", "caller"),
    ),
    Shape(
        "milliseconds", milliseconds, ("ts=@ ok", "at @", "expires @"), ("ts", "expires_at", "t")
    ),
    Shape(
        "nanoseconds", nanoseconds, ("ts=@ ok", "at @", "timestamp: @"), ("timestamp", "t", "time")
    ),
    Shape(
        "negative number",
        lambda some: f"-{with_luhn('4' + digits(some, 14))}",
        ("delta @", "x=@", "hash: @", "[@]", "@"),
        ("delta", "hash", "card"),
    ),
)


def card_of(prefix: str, length: int) -> Make:
    """Valid numbers of an issuer."""
    return lambda some: with_luhn(prefix + digits(some, length - len(prefix) - 1))


_PLACES = (
    (
        "card @ charged",
        "card=@",
        '"cardNumber":"@"',
        "visa @ declined",
        "pan: @",
        "cc @ exp 05/27",
        "order 12345678 with card @",
        "Kreditkarte @",
    ),
    ("card", "card.number", "payment.card_number", "pan", "creditCard"),
)
CARDS = tuple(
    Shape(name, card_of(prefix, length), *_PLACES)
    for name, prefix, length in (
        ("Visa 13", "4", 13),
        ("Visa 16", "4", 16),
        ("Visa 19", "4", 19),
        ("Mastercard", "52", 16),
        ("American Express", "37", 15),
        ("Discover", "6011", 16),
        ("Diners", "36", 14),
        ("JCB", "3530", 16),
        ("UnionPay", "6200", 16),
        ("Maestro", "6759", 16),
    )
)


def samples(shape: Shape, count: int) -> Iterator[tuple[str, str, str]]:
    """(number, text around it, attribute) `count` times, always the same ones."""
    some = random.Random(shape.name)
    for place in range(count):
        number = shape.make(some)
        text = shape.texts[place % len(shape.texts)].replace("@", number)
        yield number, text, shape.keys[place % len(shape.keys)]
