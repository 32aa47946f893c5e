"""The installation's redactor, and the stored form of a value."""

from collections.abc import Callable

from opslog.installation.installation import Installation
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys


def redactor_of(installation: Installation) -> Redactor:
    """A redactor with the rules of the settings and the keys of this installation."""
    secrets = installation.secrets.hmac()
    keys = HmacKeys(secrets.keys, current=secrets.current)
    return Redactor(installation.settings.redaction, keys)


def stored_as(installation: Installation) -> Callable[[str, str], str]:
    """Map (attribute name, value) to the stored value: e-mail addresses are stored as tokens."""
    redactor = redactor_of(installation)
    return lambda name, value: str(redactor.value(name, value)[0])
