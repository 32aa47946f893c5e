"""Edge cases: truncated, unbalanced, empty, nested in themselves."""

import pytest

from storage.redaction.redactor import Redactor

FIELD = "[REDACTED:secret_field]"
FLAG = "[REDACTED:secret_flag]"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        # blocks and lists of YAML that end with the text, or have empty lines in them
        ("password: |\n  line1\n\n  line2", f"password: |\n  {FIELD}\n\n  {FIELD}"),
        ("secrets:\n  - a1\n  - b2", f"secrets:\n  - {FIELD}\n  - {FIELD}"),
        # brackets that nothing closes, and more than anybody writes
        ('{"credentials": {"x": "y1"', f'{{"credentials": {{"x": "{FIELD}"'),
        # quotes inside quotes without end
        ('password="' + '\\"' * 600, f'password="{FIELD}'),
        # schemes that nobody knows, and credentials that are none
        ("Authorization: Foo abc123def456", "Authorization: [REDACTED:authorization]"),
        ("Authorization: abc123def456 none", "Authorization: [REDACTED:authorization] none"),
        ("Authorization: abc123def456 for bob", "Authorization: [REDACTED:authorization] for bob"),
        ("Authorization: Bearer", "Authorization: Bearer"),
        ("Authorization: ", "Authorization: "),
        ("cookie: [REDACTED:cookie_value]", "cookie: [REDACTED:cookie_value]"),
        ("connect.sid=[REDACTED:cookie]", "connect.sid=[REDACTED:cookie]"),
        # fewer values than columns
        (
            "INSERT INTO t (a, b, password) VALUES ('x', 'y')",
            "INSERT INTO t (a, b, password) VALUES ('x', 'y')",
        ),
        ("PWD=/Users OLDPWD=~bob", "PWD=/Users OLDPWD=~bob"),
        ("<token_type>bearer1</token_type>", "<token_type>bearer1</token_type>"),
        ('tool --token {"a": "x1y2"}', f'tool --token {{"a": "{FLAG}"}}'),
        ("<password>", "<password>"),
        ("x:<password>x1y2@h", "x:<password>x1y2@h"),
        ("see <password>x1y2", "see <password>[REDACTED:secret_element]"),
        ("<password>x1y2", "<password>[REDACTED:secret_element]"),
        ('<property name="password">', '<property name="password">'),
        ('<property name="password"><', '<property name="password"><'),
        ("name=password other", "name=password other"),
        ("<option name='secret'>x</option>", "<option name='secret'>[REDACTED:secret_named]</option>"),
        ('name="password"\r\n\r\nx1y2', 'name="password"\r\n\r\n[REDACTED:secret_named]'),
        ('{"value":"x1y2","name":"host_name"}', '{"value":"x1y2","name":"host_name"}'),
        ("api:://token::secret::x", "api:://token::secret::x"),
        # masks and hosts of URIs
        ("postgres://u:@h/d", "postgres://u:@h/d"),
        ("postgres://u:p", "postgres://u:p"),
        ("x://a:b/c@!" + "@!" * 40, "x://a:b/c@!" + "@!" * 40),
        ("u:***@tcp(h:1)/d", "u:***@tcp(h:1)/d"),
        ("jdbc:oracle:thin:u/***@h", "jdbc:oracle:thin:u/***@h"),
        # escapes in escapes, and escapes that end in the middle of a secret
        ("x%252525253Dy", "x%252525253Dy"),
        ("token%3Da1b2%63%64e5f6", "token%3D[REDACTED:secret_field]"),
        ("mail \\u0061lice@example.com", "mail [REDACTED:email]"),
        # markers: cut, doubled, with something after them
        ("password=[REDACTED:secret_field]x9", f"password={FIELD}"),
        ("password=[REDACTED:secret_field]", f"password={FIELD}"),
        ("token=hmac:k1:0123456789abcdef0123456789abcdef", "token=hmac:k1:0123456789abcdef0123456789abcdef"),
        ("[REDACTED:email] a@b.example", "[REDACTED:email] [REDACTED:email]"),
        ("", ""),
    ],
)  # fmt: skip
def test_odd_ends(redactor: Redactor, text: str, safe: str) -> None:
    """One line a case."""
    assert redactor.text(text)[0] == safe


def test_a_span_that_cuts_a_marker_takes_all_of_it(redactor: Redactor) -> None:
    """Otherwise half a marker would match again."""
    spans = [(9, 20, 0)]

    safe, _ = redactor._replace(b"password=[REDACTED:email] ab", spans)

    assert safe == b"password=[REDACTED:email] ab"
    assert redactor._replace(b"x[REDACTED:email]y z", [(0, 5, 0)])[0] == (
        b"[REDACTED:private_key]y z"
    )


def test_overlapping_spans_become_one(redactor: Redactor) -> None:
    """With the rule of higher precedence; adjacent ones stay separate."""
    safe, hits = redactor._replace(b"abcdefgh", [(2, 5, 1), (0, 3, 2), (5, 6, 3)])

    names = [rule.name for rule in redactor.rules]
    assert safe == f"[REDACTED:{names[1]}][REDACTED:{names[3]}]gh".encode()
    assert hits == ((names[1], 1), (names[3], 1))


def test_a_map_without_an_end_is_hidden_from_there_on(redactor: Redactor) -> None:
    """After an implausible number of values."""
    safe, _ = redactor.text("secrets={'a':" + "a1," * 2000)

    assert "a1" not in safe
