"""Entry points: command line, supervisor, wiring. Holds no domain logic of its own."""

import sys
from pathlib import Path

__version__ = "0.1.0"

# In a wheel the other packages are below ./app, so that no generic name reaches site-packages; in
# a checkout they are siblings. First on the path: a ./config of the caller must not win.
_here = Path(__file__).resolve().parent
_package_root = str(_here / "app" if (_here / "app").is_dir() else _here.parent)
if sys.path[0] != _package_root:
    sys.path.insert(0, _package_root)

from opslog import compiled  # noqa: E402 - before any other package is imported

compiled.install(Path(_package_root))
