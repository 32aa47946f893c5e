"""Names are classified by whole words; harmless names of OpenTelemetry's registry are kept."""

import pytest

from storage.redaction.recognition.keys import KeyNames, Kind, split_words
from storage.redaction.rules import default_rules

NAMES = KeyNames(default_rules().names)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("spring.datasource.userPassword2", ["spring", "datasource", "user", "password"]),
        ("X-API-Key", ["x", "api", "key"]),
        ("APIKey", ["api", "key"]),
        ("DB_PASSWORD", ["db", "password"]),
        ("contraseña", ["contraseña"]),
        ("", []),
    ],
)
def test_words(name: str, words: list[str]) -> None:
    """Snake, kebab, camel, dots, capitals."""
    assert split_words(name) == words


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("password", Kind.SECRET),
        ("PASSWORD_2", Kind.SECRET),
        ("password_value", Kind.SECRET),
        ("password_reset_token", Kind.SECRET),
        ("pAssWord", Kind.SECRET),
        ("mydbpassword", Kind.SECRET),
        ("accessToken", Kind.SECRET),
        ("secret_access_key", Kind.SECRET),
        ("password_github", Kind.DOUBTFUL),
        ("auth", Kind.DOUBTFUL),
        ("authorization", Kind.AUTHORIZATION),
        ("http.request.header.authorization", Kind.AUTHORIZATION),
        ("http.response.header.set-cookie", Kind.COOKIE),
        ("user.id", Kind.ACTOR),
        ("author", Kind.PLAIN),
        ("authority", Kind.PLAIN),
        ("input_tokens", Kind.PLAIN),
        ("gen_ai.usage.input_tokens", Kind.PLAIN),
        ("messaging.kafka.message.key", Kind.PLAIN),
        ("feature_flag.key", Kind.PLAIN),
        ("aws.s3.key", Kind.PLAIN),
        ("aspnetcore.authorization.result", Kind.PLAIN),
        ("token_type", Kind.PLAIN),
        ("nextPageToken", Kind.PLAIN),
        ("publicKey", Kind.PLAIN),
        ("primary_key", Kind.PLAIN),
        ("tokenizer", Kind.PLAIN),
        ("keyboard", Kind.PLAIN),
        ("secret_name", Kind.PLAIN),
    ],
)
def test_kinds(name: str, kind: Kind) -> None:
    """What a name says about its value."""
    assert NAMES.kind(name) is kind
    assert NAMES.kind(name) is kind


def test_names_of_the_settings_take_precedence() -> None:
    """Allowed, secret, and those of custom rules."""
    names = KeyNames(default_rules().names, allow=["Password"], secret=["VPN"], custom=["badge"])

    assert names.kind("password") is Kind.PLAIN
    assert names.kind("vpn") is Kind.SECRET
    assert names.kind("Badge") is Kind.CUSTOM


def test_the_cache_of_names_is_bounded() -> None:
    """Too many names clear it."""
    names = KeyNames(default_rules().names)

    for number in range(9000):
        names.kind(f"n{number}")

    assert len(names._memo) <= 8192


def test_harmless_fields_beside_a_secret() -> None:
    """`username` of credentials, but no key among them."""
    assert NAMES.is_beside(b"username")
    assert not NAMES.is_beside(b"other")
    assert not NAMES.is_beside(b"user_password")
    assert NAMES.is_plural("max.tokens")
    assert not NAMES.is_plural("")


def test_names_alone() -> None:
    """A set of names without the default words."""
    only = KeyNames.only(["badge_no"])

    assert only.kind("badge_no") is Kind.SECRET
    assert only.kind("password") is Kind.PLAIN
    assert only.stems == r"badge_no"
