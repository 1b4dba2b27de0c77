"""The checkout: where data and pages lie, and which commit it is."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ROOT / "examples" / "data"
"""Trained networks that come with isotau."""
RESULTS = ROOT / "docs" / "results"


def git(*words: str, root: Path = ROOT) -> str:
    """Return what git says about a checkout; nothing where there is no git."""
    process = subprocess.run(
        ["git", *words], cwd=root, capture_output=True, text=True, check=False
    )
    return process.stdout.strip()


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a folder that is gone again afterwards; give its path.

    Raises:
        CalledProcessError: there is no such commit.
    """
    words = ["git", "worktree", "add", "--detach", str(folder), commit]
    subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    try:
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))


def has_changes(root: Path = ROOT) -> bool:
    """Return whether files that git knows differ from a checkout's commit."""
    # New files are passed over: figures are often written into the tree.
    return bool(git("status", "--porcelain", "--untracked-files=no", root=root))


def commit() -> str:
    """Return the commit of the checkout, with + after it if files differ from it."""
    return git("rev-parse", "HEAD") + "+" * has_changes()
