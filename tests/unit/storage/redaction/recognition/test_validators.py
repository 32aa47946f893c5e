"""Validators: cards, IBANs, tokens, randomness."""

import pytest

from storage.redaction.recognition.randomness import entropy, looks_random, mixed
from storage.redaction.recognition.validators import VALIDATORS, card, unbase64


@pytest.mark.parametrize(
    ("validator", "match", "verdict"),
    [
        ("card", b"4111 1111 1111 1111", True),
        ("card", b"4111%201111%201111%201111", True),
        ("card", b"4111111111111112", False),
        ("card", b"9999999999999995", False),
        ("card", b"6011000000000004", True),
        ("iban", b"GB82 WEST 1234 5698 7654 32", True),
        ("iban", b"GB82 WEST 1234 5698 7654 33", False),
        ("us_ssn", b"219-09-9999", True),
        ("us_ssn", b"000-09-9999", False),
        ("us_ssn", b"666-09-9999", False),
        ("us_ssn", b"900-09-9999", False),
        ("us_ssn", b"219-00-9999", False),
        ("us_ssn", b"219-09-0000", False),
        ("jwt", b"eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", True),
        ("jwt", b"eyJhbGciOiJub25lIn0.xxxx.yyyy", True),
        ("jwt", b"eyJvZmZzZXQiOjEwMH0.xxxx.yyyy", False),
        ("jwt", b"eyJmb28.xx", False),
        ("basic", b"dXNlcjpwYXNz", True),
        ("basic", b"authentication", False),
        ("basic", b"AAAAOgA=", False),
        ("basic", "übel".encode(), False),
        ("base64_private_key", b"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t", True),
        ("base64_private_key", b"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t", False),
        ("discord", b"MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.abc", True),
        ("discord", b"mfa.abc", True),
        ("discord", b"com.example.service.Main.foo", False),
        ("discord", b"Maaaaaaaaaaaaaaaaaaaaaaa.aaaaaa.aaaaaaaaaaa", False),
        ("mixed", b"aZ3kQ9xB7mT2", True),
        ("mixed", b"0f1e9d8c7b6a5243", False),
        ("random", b"aaaaaaaa1", False),
        ("random", b"abcdefgh1", True),
        ("random", b"abcdefghijklmnop", False),
        ("random", b"abcdefghIJKLMNOP", True),
        ("spoken", b"hunter2", True),
        ("spoken", b"required", False),
        ("spoken", b"for-user", False),
        ("spoken", b"too short", False),
        ("spoken", b"12s", False),
        ("sentence", b"hunter2x", True),
        ("sentence", b"wordwordword", False),
        ("sentence", b"name=value12", False),
        ("always", b"x", True),
    ],
)
def test_verdicts(validator: str, match: bytes, verdict: object) -> None:
    """One line a case."""
    assert VALIDATORS[validator](match) is verdict


def test_one_repeated_digit_is_not_a_card() -> None:
    """Although 0 repeated has a right check digit."""
    assert not card(b"4444444444444444" + b"000")
    assert not card(b"0" * 16)


def test_entropy() -> None:
    """Shannon's, in bits a byte."""
    assert entropy(b"aaaa") == 0
    assert entropy(bytes(range(16))) == 4
    assert not looks_random(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcdefghij1")
    assert not mixed(b"abcdefghijkl")


def test_base64_of_either_alphabet_and_of_any_length() -> None:
    """Without padding, with a stray character at the end, or none at all."""
    assert unbase64(b"-_-_") == b"\xfb\xff\xbf"
    assert unbase64(b"+/+/") == b"\xfb\xff\xbf"
    assert unbase64(b"YWJjZ") == b"abc"
    assert unbase64("ü".encode()) == b""
