"""Changes made while reading one record: invalid text, unreadable values, nesting, limits."""

from otlp_receiver.export import Note, Odd, joined
from storage.record.record import Value

MAX_NODES = 100_000
"""Maximum list and map elements per value; a body of 64 MiB can hold 30 million."""
MAX_NOTES = 1000
"""Maximum notes per record, as many as attributes by default; further ones are only counted."""
TOO_DEEP = "[cut: nested too deep]"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Tally:
    """Changes made while reading one record."""

    __slots__ = ("cuts", "max_depth", "nodes", "notes", "replaced", "strindexes", "touched")

    def __init__(self, max_depth: int) -> None:
        self.max_depth = max_depth
        self.nodes = MAX_NODES
        self.clear()

    def clear(self) -> None:
        """Reset for the next record."""
        self.touched = False
        self.replaced = 0
        self.strindexes = 0
        self.cuts: dict[str, int] = {}
        self.notes: list[Note] = []

    def cut(self, what: str) -> None:
        """Count a value dropped because of a limit."""
        self.touched = True
        self.cuts[what] = self.cuts.get(what, 0) + 1

    def take(self) -> Odd:
        """Return the anomalies of the record just read, and reset."""
        odd = Odd(self.replaced, self.strindexes, self.cuts, self.notes)
        self.clear()
        return odd

    def note(self, where: str, problem: str, sent: Value = None) -> None:
        """Note a value that cannot be read; `sent` unless it is kept in its place as text."""
        self.touched = True
        if len(self.notes) < MAX_NOTES:
            self.notes.append(Note(where, problem, sent))
        else:
            self.cut("notes")

    def place(self, before: int, where: str) -> None:
        """Prefix the paths of the notes since there were `before` of them."""
        for note in self.notes[before:]:
            note.where = joined(where, note.where)

    def strindex(self) -> None:
        """Count a reference to a string table, which logs and traces do not have."""
        self.touched = True
        self.strindexes += 1


def text_of(raw: bytes, tally: Tally) -> str:
    """Decode UTF-8; each invalid sequence and each NUL is replaced by U+FFFD and counted.

    PostgreSQL accepts neither in text or jsonb.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode(errors="replace")
        tally.touched = True
        tally.replaced += text.count(REPLACEMENT) - raw.count(b"\xef\xbf\xbd")
    if "\0" in text:
        tally.touched = True
        tally.replaced += text.count("\0")
        text = text.replace("\0", REPLACEMENT)
    return text
