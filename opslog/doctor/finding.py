"""A finding of `opslog doctor`: what was checked, why it matters, how to fix it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    what: str
    reason: str = ""
    fix: str = ""
    is_problem: bool = False
    """opslog will not start or not keep its guarantees; otherwise it is advice."""

    @property
    def is_fine(self) -> bool:
        """Nothing to fix."""
        return not self.fix
