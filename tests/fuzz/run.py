"""Coverage-guided fuzzing with atheris (libFuzzer).

    make fuzz SECONDS=1200        python -m tests.fuzz.run --seconds 1200

Starts with the seeds and previous findings, and stores inputs that reach new code. A failing input
ends the run, and is written to the folder of the run and reported.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from hashlib import sha1
from pathlib import Path

MAX_INPUT_BYTES = 16_384
MEMORY_MB = 1500
INSTRUMENTED = [
    "otlp_receiver",
    "storage.redaction",
    "storage.record.canonical",
    "storage.record.copy_binary",
    "storage.spool.frame",
    "storage.spool.files",
]


def main() -> int:
    """Run for the given time; 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=Path, help="keep the run's files here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opslog-fuzz-") as scratch:
        folder = arguments.folder or Path(scratch)
        begin, grown, small = (folder / name for name in ("begin", "grown", "small"))
        for place in (begin, grown, small):
            place.mkdir(parents=True, exist_ok=True)
        _write_inputs(begin)
        common = [sys.executable, "-P", "-m", "tests.fuzz.run", "--worker", _again(folder)]
        common.append(f"-artifact_prefix={folder}/broken-")
        limit = f"-max_total_time={arguments.seconds}"
        done = subprocess.run([*common, limit, grown, begin], check=False)
        subprocess.run([*common, "-merge=1", small, grown, begin], check=False)
        _keep(small)
    return done.returncode


def _again(folder: Path) -> str:
    """A worker script, which libFuzzer can start again when it minimizes."""
    program = folder / "worker"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -P -m tests.fuzz.run --worker "$0" "$@"\n'
    )
    program.chmod(0o700)
    return str(program)


def _write_inputs(place: Path) -> None:
    from tests.fuzz import corpus
    from tests.fuzz.seeds import seeds

    for data in [*seeds(), *corpus.read()]:
        (place / sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


def _keep(place: Path) -> None:
    from tests.fuzz import corpus

    corpus.write([path.read_bytes() for path in place.iterdir()])


def worker(arguments: list[str]) -> None:
    """The process of libFuzzer; never returns. The first argument is the command for another."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz import targets
    from tests.fuzz.mutations import mutated

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if len(data) > 1 and chance.random() < 0.7:
            changed = mutated(data, chance)
            if changed != data and len(changed) <= max_size:
                return changed
        return bytes(atheris.Mutate(data, max_size))

    options = [f"-max_len={MAX_INPUT_BYTES}", f"-rss_limit_mb={MEMORY_MB}", "-timeout=20"]
    atheris.Setup(
        [arguments[0], *options, *arguments[1:]], targets.try_input, custom_mutator=change
    )
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2:])
    else:
        sys.exit(main())
