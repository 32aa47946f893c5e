"""What stands beside a number that looks like a card's: a word for cards, or a name of an id.

One number in ten has a valid check digit, so other numbers of the same length and beginning look
like cards: article numbers (EAN; the German ones begin with 40 to 44, like 13-digit Visa numbers),
IMEIs, order numbers, block ids of HDFS. The rule's harm is measured on those shapes
(tests/corpus/shapes.py).
"""

import re
from typing import Final

from storage.redaction.recognition.keys import split_words

_IDS: Final = """article artikel artikelnummer auftrag auftragsnummer barcode bestellnummer bestellung blk
block ean epoch gtin iccid id ids imei imsi invoice isbn item lot msisdn order orders parcel phone
product rechnung rechnungsnummer request sendung sendungsnummer serial shipment sku span tel telefon
time timestamp trace tracking ts uid upc"""
ID_WORDS: Final = frozenset(_IDS.split())
"""Last word of a name whose number is no card's: of ids, articles, devices, times."""

_CARD_WORD: Final = re.compile(
    rb"(?i)(?<!dis)(?<!wild)card|amex|carte|credit|debit|diners|\bdiscover\b|jcb|karte|maestro|tarjeta"
    rb"|unionpay|visa|(?<![a-z])(?:pan|cc)(?![a-z])|(?-i:\bMir\b)"
)
"""A word that speaks of cards, also as a part of another: `creditCard`."""
_BEFORE_BYTES, _AFTER_BYTES = 48, 24
_NAME_BYTES: Final = 40
_BESIDE: Final = b" \t\"'\\:=#_/-.([{"
"""Between a name and its number: `"order_id": "…"`, `blk_…`, `/orders/…`, `order no. …`."""
_TOKENS: Final = re.compile(rb"[A-Za-z]+|[0-9]+|[^A-Za-z0-9_.\- ]")
_GENERIC: Final = frozenset(("code", "key", "no", "nr", "num", "number", "value"))
"""Words after which the one before counts: order number, ean_code."""
_LETTERS: Final = bytes(range(ord("a"), ord("z") + 1)) + bytes(range(ord("A"), ord("Z") + 1))
_MAY_BE_IDS: Final = ID_WORDS | _GENERIC
_NAME_WORDS: Final = 3
_NEGATIVE: Final = re.compile(rb"(?:^|[^0-9A-Za-z%*])-\Z")
_SHORT_DIGITS: Final = 13


def is_other_number(raw: bytes, start: int, end: int) -> bool:
    """Whether the number at this place, which has the form of a card's, is none.

    >>> is_other_number(b"ean 4006381333931", 4, 17), is_other_number(b"visa 4222222222222", 5, 18)
    (True, False)
    >>> is_other_number(b"blk_4111111111111111", 4, 20), is_other_number(b"x=-4111111111111111", 3, 19)
    (True, True)
    """
    before = raw[max(0, start - _BEFORE_BYTES) : start]
    if before.endswith(b"-") and _NEGATIVE.search(before) is not None:
        return True
    if not raw[start:end].isdigit():
        return False  # in groups, as cards are printed
    if end - start == _SHORT_DIGITS:
        after = raw[end : end + _AFTER_BYTES]
        return _CARD_WORD.search(before) is None and _CARD_WORD.search(after) is None
    return _is_id(before)


def speaks_of_cards(name: str) -> bool:
    """Whether a name has a word for cards."""
    return _CARD_WORD.search(name.encode("utf-8", "replace")) is not None


def _is_id(before: bytes) -> bool:
    """Whether the name that ends here, if any, is that of an id and does not speak of cards."""
    head = before.rstrip(_BESIDE)[-_NAME_BYTES:]
    # Most numbers that come here are cards, after a word for them: nothing else is looked at.
    last = head[len(head.rstrip(_LETTERS)) :].decode()
    if not last or (last.islower() and last not in _MAY_BE_IDS):
        return False
    words: list[str] = []
    tokens: list[bytes] = _TOKENS.findall(head)
    for token in reversed(tokens):
        if not token.isalpha() or len(words) >= _NAME_WORDS:
            break
        words = split_words(token.decode()) + words
    if speaks_of_cards(" ".join(words[-_NAME_WORDS:])):
        return False
    while words and words[-1] in _GENERIC:
        words.pop()
    return bool(words) and words[-1] in ID_WORDS
