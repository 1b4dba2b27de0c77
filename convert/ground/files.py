"""Files that appear whole or not at all."""

import csv
import io
import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_ASKING = threading.Lock()
"""Held while the umask is asked for: two threads at once would leave it at 0."""


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that replaces it once all went well."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a file can be put in the place of another on one disk only.
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        # mkstemp lets the owner alone read; a usual file has what the umask leaves,
        # which can be asked for only by setting it.
        with _ASKING:
            umask = os.umask(0)
            os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:  # an interrupt, too, leaves nothing behind
        os.unlink(temporary)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file atomically, as UTF-8."""
    with atomic(path) as stream:
        stream.write(text.encode())
    return Path(path)


def write_table(
    path: str | os.PathLike[str],
    settings: Mapping[str, Any],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> Path:
    """Write a CSV below a line of settings, and return the path.

    The first line starts with "#" and holds JSON, so `pandas.read_csv(path,
    comment="#")` reads the table; floats keep all their digits.

    Args:
        path: of the file.
        settings: as JSON can hold them.
        columns: names of the columns.
        rows: one value for each column, numbers as Python's own: numpy's would be
            printed by its rules.
    """
    # The line ends are the writer's alone, the same on every system.
    text = io.StringIO(newline="")
    text.write(f"# {json.dumps(settings)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return write_text(path, text.getvalue())
