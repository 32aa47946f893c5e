"""T13: evasions of redaction. Fixed ones stay fixed; known ones are documented.

Redaction is a best effort against accidents; a sender that wants to leak can always find another.
"""

import base64
import urllib.parse
from pathlib import Path

import pytest

from tests.support.querying import redactor

GUIDE = Path(__file__).parents[4] / "docs" / "redaction.md"
TOKEN = "ghp_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
WORD = "hunter2secret"

CLOSED = {
    "percent-encoded": urllib.parse.quote(f"password={WORD}&x=1", safe=""),
    "JSON in JSON": f'{{\\"password\\":\\"{WORD}\\"}}',
    "an escaped letter": f'{{"pass\\u0077ord":"{WORD}"}}',
    "capitals": f"PASSWORD={WORD}",
    "blanks": f"password : {WORD}",
    "a zero-width sign in the name": f"pass\u200bword={WORD}",
    "a zero-width sign in the secret": f"{TOKEN[:10]}\u200b{TOKEN[10:]}",
    "a soft hyphen": f"{TOKEN[:10]}\u00ad{TOKEN[10:]}",
    "announced base64": "Authorization: Basic " + base64.b64encode(WORD.encode()).decode(),
    "a wide equals sign": f"password＝{WORD}",
    "an HTML entity": f"password&#61;{WORD}",
    "an element": f"<password>{WORD}</password>",
    "a path": f"/hook/{TOKEN}/x",
    "a command": f"mysql -p{WORD} --password {WORD}",
}

OPEN = {
    "letters of other alphabets": f"pаssword={WORD}",
    "base64 in base64": base64.b64encode(f"password={WORD}".encode()).decode(),
    "half in one record, half in the next": f"the first half is {WORD[:7]}",
}
"""As docs/redaction.md says of itself."""


@pytest.mark.parametrize("kind", CLOSED)
def test_a_fixed_evasion_stays_fixed(kind):
    hidden = redactor().text(CLOSED[kind])[0]

    for secret in (WORD, TOKEN, TOKEN[10:], base64.b64encode(WORD.encode()).decode()):
        assert secret not in hidden


@pytest.mark.parametrize("kind", OPEN)
def test_a_known_evasion_is_listed_in_the_guide(kind):
    """A fix also removes it from the guide."""
    assert redactor().text(OPEN[kind])[0] == OPEN[kind]
    assert kind in " ".join(GUIDE.read_text("utf-8").split())
