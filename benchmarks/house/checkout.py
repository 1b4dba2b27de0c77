"""Running Python in a checkout, with that checkout's isotau."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.repository import ROOT, git, has_changes


class Checkout(NamedTuple):
    """A tree of the repository at whatever commit, and what runs it."""

    root: Path = ROOT
    python: str = sys.executable

    def run(
        self, *words: str, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Return what the interpreter printed, given some arguments.

        Its `isotau` is the checkout's own, whatever is installed; `benchmarks` is the
        one of this file.

        Args:
            words: the arguments.
            folder: to run in; the checkout's if not given.
        """
        # Before what is installed, which may be the isotau of another checkout.
        paths = os.pathsep.join(map(str, (self.root / "src", ROOT)))
        return subprocess.run(
            [self.python, *words],
            cwd=folder or self.root,
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def run_checked(self, *words: str, folder: Path | None = None) -> str:
        """Return what the interpreter printed to its standard output.

        Raises:
            RuntimeError: it ended with an error; the message has what it said.
        """
        process = self.run(*words, folder=folder)
        if process.returncode:
            raise RuntimeError(
                f"python {' '.join(words)[:80]}: got exit status {process.returncode}, "
                f"need 0:\n{process.stderr[-2000:]}"
            )
        return process.stdout

    def commit(self) -> str:
        """Return the short name of the commit, with a + if files differ from it."""
        short = git("rev-parse", "--short", "HEAD", root=self.root)
        return short + "+" * has_changes(self.root)
