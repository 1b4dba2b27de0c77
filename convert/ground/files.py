"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


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
