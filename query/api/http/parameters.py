"""Query parameters of routes that do not search records: a fixed list of names, small numbers."""

from collections.abc import Mapping

from config.errors import BadInput
from query.api.http.call import Call
from query.language.filter_parameters import one_text


def parameters(call: Call, *names: str) -> Mapping[str, str]:
    """The query parameters, each given once. Raises BadInput for names not in `names`."""
    refuse_others(call, *names)
    return {name: one_text(name, (value,)) for name, value in call.request.query.items()}


def refuse_others(call: Call, *names: str) -> None:
    """Raise BadInput for a parameter that is not in `names`."""
    for name in call.request.query:
        if name not in names:
            raise BadInput(f"Unknown parameter {name[:100]}", where=name[:100])


def whole_number(text: str, where: str) -> int:
    """A number of up to 17 digits. Raises BadInput."""
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise BadInput(f"{where} must be a whole number", where=where)
    return int(text)
