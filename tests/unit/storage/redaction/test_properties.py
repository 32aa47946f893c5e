"""A secret at any depth, in any field, in any text is redacted; redaction is idempotent."""

import json
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import RedactionSettings
from storage.record.record import Value
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys

REDACTOR = Redactor(RedactionSettings(), HmacKeys({"k1": b"0123456789abcdef"}, current="k1"))
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def token(prefix: str, alphabet: str, length: int) -> st.SearchStrategy[str]:
    """A provider's token: a fixed prefix and random characters of all kinds."""
    filler = "aZ3" if alphabet == ALNUM else alphabet[:3]
    return st.text(alphabet, min_size=length - 3, max_size=length - 3).map(
        lambda body: prefix + filler + body
    )


SECRETS = st.one_of(
    token("ghp_", ALNUM, 36),
    token("glpat-", ALNUM, 20),
    token("xoxb-", ALNUM, 30),
    token("sk_live_", ALNUM, 24),
    token("AIza", ALNUM, 35),
    token("sk-ant-api03-", ALNUM, 80),
    token("npm_", ALNUM, 36),
    token("dop_v1_", HEX, 64),
    token("hvs.", ALNUM, 24),
    token("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    token("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.", ALNUM, 43),
    st.sampled_from(["4111111111111111", "5555555555554444", "378282246310005"]),
    st.text(string.ascii_lowercase + string.digits, min_size=3, max_size=12).map(
        lambda name: f"q{name}@mail.example.com"
    ),
)
# What may stand beside a secret. Letters and digits do not: beside them it is part of a word.
SEPARATORS = st.sampled_from(
    [
        " ",
        "\n",
        '"',
        "'",
        "`",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "<",
        ">",
        ",",
        ";",
        "|",
        "\t",
        "\\n",
        '\\"',
        "\\\\n",
        "&quot;",
        "%20",
        "%22",
        "用户",
        " — ",
        "\u200b",
        "\x1b[31m",
        "=",
        ": ",
    ]
)
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=60)


@st.composite
def surrounded(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a text and the secret in it."""
    secret = draw(SECRETS)
    before, after = draw(TEXTS), draw(TEXTS)
    return before + draw(SEPARATORS) + secret + draw(SEPARATORS) + after, secret


@settings(max_examples=400, deadline=None)
@given(surrounded())
def test_a_secret_in_any_text_is_redacted(case: tuple[str, str]) -> None:
    """Whatever surrounds it, as long as it is delimited."""
    text, secret = case

    result, hits = REDACTOR.text(text)

    assert secret not in result
    assert hits


@settings(max_examples=200, deadline=None)
@given(
    surrounded(),
    st.lists(st.sampled_from(["list", "map", "json", "key"]), max_size=6),
    st.booleans(),
)
def test_a_secret_at_any_depth_is_redacted(
    case: tuple[str, str], path: list[str], last_as_bytes: bool
) -> None:
    """In maps, lists, keys, bytes, and JSON inside strings inside JSON."""
    text, secret = case
    value: Value = text
    for step in path:
        if step == "json":
            value = json.dumps(value)
        elif step == "key" and isinstance(value, str):
            value = {value: 1}
        else:
            value = [value] if step == "list" else {"inner": value}
    if last_as_bytes and isinstance(value, str):
        value = value.encode()

    result, _ = REDACTOR.value("payload", value)

    assert secret not in _flat(result)


@settings(max_examples=300, deadline=None)
@given(surrounded())
def test_redaction_is_idempotent(case: tuple[str, str]) -> None:
    """A stored text can be scanned again, for instance with a new rule, without harm."""
    once, _ = REDACTOR.text(case[0])

    assert REDACTOR.text(once)[0] == once


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [
            "password={}",
            'password: "{}"',
            '{{"password":"{}"}}',
            "--password {}",
            "api_key={}",
            "DB_PASSWORD={}",
            "<password>{}</password>",
            "userPassword = {}",
            "x-api-key: {}",
            "client_secret={}&x=1",
            "postgres://u:{}@h/d",
            "Authorization: Bearer {}",
        ]
    ),
    st.text(ALNUM + "!$*+~^%-_.", min_size=6, max_size=40).filter(
        lambda value: any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    ),
)
def test_a_secret_named_value_is_redacted(form: str, value: str) -> None:
    """Whatever it is, unless it is a placeholder."""
    value = f"q7{value}9z"

    result, _ = REDACTOR.text(form.format(value))

    assert value not in result


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_is_returned_as_text(text: str) -> None:
    """No input makes it fail, and a text without secrets is returned unchanged."""
    result, hits = REDACTOR.text(text)

    assert isinstance(result, str)
    assert hits or result == text


def _flat(value: Value) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(_flat, value))
    return value.decode() if isinstance(value, bytes) else str(value)
