"""Harmless values under a secret's name: placeholders, masks, states, references.

Only complete values match: a mask followed by other text is treated as a secret.
"""

import re
from typing import Final

from storage.redaction.recognition.randomness import looks_random

# Words that logs write in place of a secret: states and types, never a password.
_STATES: Final = frozenset(
    b"""absent accepted array await basic bearer blank bool boolean bytes changed cleared created deleted denied disabled
    empty enabled encrypted exceeded exists expired fail failed failure false filtered generated
    granted hashed hidden include incorrect int integer invalid issued malformed masked mismatch mismatched
    missing n/a na nil no none not null number object off ok omit on optional passed present protected
    provided received redacted refreshed rejected removed renewed required reset reused revoked
    rotated sanitized scrubbed sent set skipped str string success true undefined unchanged unexpected
    unknown unset unsupported unverified updated valid varchar verified wrong y yes""".split()
)
# Words that continue a sentence; only after a colon and a blank, and without quotes.
_SENTENCE_WORDS: Final = _STATES | frozenset(
    b"""a access active added all allowed an and any are as at auth authentication authorization await
    bad basic be bearer been can cannot cant check checking contains credentials default did digest
    do does doesn't don't error expires field file for found from generation good had has hash have
    if in input is it key kerberos length less line long login match matches method mode more must new
    negotiate object of one or out output parameter pass please prompt ready refresh return scheme
    secret should strong supplied text than that the this to token too type typeof under update user
    using value verify via was weak were when will with without yet you your""".split()
)
_PLACEHOLDER: Final = re.compile(
    rb"""(?ix)
    [*.\-_\#?~]+ | x{3,} | x+\*+ | \xe2\x80\xa6 | (?:\xe2\x80\xa2)+ | (?:\\+u(?:2022|25cf|2026|002a))+ | \.{2,}
    | \$\{\{[^{}]*\}\} | \$\{[^{}:]*\} | \$\([^()]*\) | \$[a-z_]\w* | \$\d+ | %[a-z_]\w*% | %[sdvqr@]
    | \{\{[^{}]*\}\} | \{\w*\} | \#\{[^{}]*\} | %\(\w+\)[sdr] | %\{\w+\}
    | <[a-z][a-z_\ \-./:]*> | \([a-z][a-z\ ]{2,30}\)
    | :[a-z_]+ | @p\d+ | @[a-z_]+
    | [\[<(*]*\[?(?:redacted|filtered|masked|hidden|removed|sensitive|protected|scrubbed|secured)
      (?:[\ :=_-][\w\ :=-]{0,80})?[\]>)*]*
    | (?:Optional|Option|Maybe|List|Array|Set|Union|Secret|Annotated)[\[<(]\w+[\]>)]?
    | [^A-Za-z0-9\x80-\xff]{1,3}
    | (?:your|my|the|some|insert|enter|example|change)[_-][a-z_-]+ | change-?me | placeholder
    """
)
_REFERENCE: Final = re.compile(
    rb"""(?x)
    (?:process\.env|os\.environ|os\.getenv|import\.meta\.env|env|ENV|secrets|vars|var|local|data
       |self|this|config|cfg|settings|params|request|req|args|kwargs|ctx|options|opts)
      (?:\.[A-Za-z_]\w*)+(?:[\[(].*)?
    | (?i:[a-z_]\w*(?:\.[a-z_]\w*)*\.\w*(?:password|passwd|token|secret|key|hash)\w*)
    | [A-Za-z_][\w.]{0,40}\([A-Za-z_.]{1,30}(?:,.*)?\)?
    | (?:process\.env|os\.environ|ENV)\[.*
    | [A-Za-z_][\w.]*\(\)?
    | https?://[^\s@?\#]*
    | arn:aws[\w-]*:(?:secretsmanager|ssm):\S* | op://\S+ | vault:\S*[/\#]\S*
    | projects/[\w-]+/secrets/[\w/-]+
    | (?:file:(?://)?)?/(?:[a-z0-9_.\-]+/)+[A-Za-z0-9_.\-]* | /[a-z]+(?:[\-_][a-z]+)* | ~/[\w./\-]+ | [A-Za-z]:\\[\w\\ .\-]+
    """
)
# Messages of a form or a validator about a field, in place of its value.
_PROSE: Final = re.compile(
    rb"(?i)(?=.* ).*\b(?:required|must|cannot|can't|may not|should|invalid|too (?:short|long|common|weak"
    rb"|similar)|does not|do not|is not|characters|at least)\b.*"
)
_WORDLIKE: Final = re.compile(rb"[A-Za-z]+(?:[-_ .:/][A-Za-z]+)*")
# Capitals as in identifiers and acronyms: camelCase, HTTPServer, URLs. Random letters have others.
_CAPITALS: Final = re.compile(rb"[a-z]*(?:[A-Z]{1,6}(?:[a-z]{2,}|s(?![a-z])))*[A-Z]{0,6}")
_LEAST_RANDOM_BYTES: Final = 8
_MEASURE: Final = re.compile(
    rb"[+-]?\d+(?:\.\d+)?(?:%|ns|us|ms|s|m|h|d|min|sec|[kKMGT]?i?B)?"
    rb"|\d+(?::\d+)+(?:/\w+)?|\d{4}-\d\d-\d\d(?:[T ][\d:.+\-Z]*)?|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|v?\d+(?:\.\d+)+[\w.+-]*"
)
_FIRST_WORD: Final = re.compile(rb"([A-Za-z']{2,}+)(?=[\s,:.!?()]|\Z)")
_FIELD: Final = re.compile(rb"[A-Za-z_][\w.\-]*[=:](?!=|\Z)")
_LEAST_SECRET_BYTES: Final = 6
_LONGEST_HARMLESS_BYTES: Final = 256


def harmless(value: bytes) -> bool:
    """Whether a value under a secret's name is not a secret."""
    bare = value.strip()
    if len(bare) > _LONGEST_HARMLESS_BYTES:
        return False
    return (
        not bare
        or bare.lower().rstrip(b".,:;!?").lstrip(b"&") in _STATES
        or _PLACEHOLDER.fullmatch(bare) is not None
        or _REFERENCE.fullmatch(bare) is not None
        or _PROSE.fullmatch(bare) is not None
    )


def looks_secret(value: bytes) -> bool:
    """Whether a value under a doubtful name looks like a secret: no word, date or measure."""
    return (
        len(value) >= _LEAST_SECRET_BYTES
        and (_WORDLIKE.fullmatch(value.rstrip(b".,:;!?")) is None or _odd_capitals(value))
        and _MEASURE.fullmatch(value) is None
    ) or (len(value) >= 20 and looks_random(value))


def _odd_capitals(value: bytes) -> bool:
    """Letters only, with capitals unlike those of a word or identifier: `LJwxOVyKkbSTj`."""
    return (
        len(value) >= _LEAST_RANDOM_BYTES and value.isalpha() and _CAPITALS.fullmatch(value) is None
    )


def spoken(value: bytes) -> bool:
    """Whether the text after a word such as "password" is a secret rather than the next word."""
    return not harmless(value) and not begins_with_word(value) and looks_like_password(value)


def sentence(value: bytes) -> bool:
    """The same inside prose, where the next word is more likely: requires letters and digits."""
    if _FIELD.match(value) is not None:
        return False
    if re.search(rb"\d", value) is None and not _odd_capitals(value):
        return False
    return spoken(value) and looks_secret(value)


def looks_like_password(value: bytes) -> bool:
    """Whether it is not a date, a measure or words joined by dashes."""
    return _MEASURE.fullmatch(value) is None and (
        _WORDLIKE.fullmatch(value) is None or (b"-" not in value and b"." not in value)
    )


def begins_with_word(value: bytes) -> bool:
    """Whether the first word is one that continues a sentence."""
    first = _FIRST_WORD.match(value)
    return first is not None and first.group(1).lower() in _SENTENCE_WORDS
