"""The code blocks of docs/integration.md, and the directory where they are run.

A block's first line says what it is for: `file=NAME` is written beside the others, `run=WHERE` and
`query=WHERE` are run there by a shell, `output` is what the query before it prints.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.environments import bare
from tests.support.product import Product

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "integration.md"

_BLOCK = re.compile(r"^```(\w+)(?: ([\w-]+)(?:=(\S+))?)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code."""

    language: str
    use: str
    """file, run, query, output, packages, config, not-run."""
    name: str
    text: str


def blocks() -> Iterator[Block]:
    """All code blocks, in order."""
    for found in _BLOCK.finditer(GUIDE.read_text()):
        language, use, name, text = found.groups(default="")
        yield Block(language, use, name, text)


def text_of(name: str) -> str:
    """The text of a configuration."""
    (found,) = [block.text for block in blocks() if block.use == "config" and block.name == name]
    return found


class Workshop:
    """A directory with the files of the guide, and the commands that a reader would have."""

    def __init__(self, product: Product, folder: Path, commands: list[Path]) -> None:
        self._product = product
        self._folder = folder
        self._commands = commands
        self._ran: list[tuple[Block, subprocess.CompletedProcess[str]]] = []
        folder.mkdir()
        for block in blocks():
            if block.use == "file":
                (folder / block.name).write_text(self._here(block.text))

    def run_all(self, where: str) -> list[tuple[Block, subprocess.CompletedProcess[str]]]:
        """Run every `run=where` block in order, once."""
        if not self._ran:
            wanted = [block for block in blocks() if (block.use, block.name) == ("run", where)]
            self._ran = [(block, self.shell(block.text)) for block in wanted]
        return self._ran

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a block, with the addresses of the opslog under test."""
        path = os.pathsep.join([*map(str, self._commands), os.environ["PATH"]])
        ours = {
            name: value
            for name, value in self._product.environment.items()
            if name.startswith("OPSLOG_")
        }
        return subprocess.run(
            ["sh", "-eu", "-c", self._here(script)],
            cwd=self._folder,
            env=bare(**{**ours, "PATH": path}),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    def _here(self, text: str) -> str:
        text = text.replace("http://127.0.0.1:4318", self._product.otlp_url)
        return text.replace("http://127.0.0.1:8080", self._product.api_url)
