"""Lava's modules, imported so that Python 3.11 and newer accept them.

Nothing else imports Lava but what is imported after it (`lava_lif`, `lava_script`).
"""

import importlib
from typing import Any

from isotau.targets.on_lava.lava_script.run import accept_lava


class LavaMissing(ImportError):
    """lava-nc, or something that it needs, is not installed."""


def load(name: str) -> Any:
    """Return one of Lava's modules.

    Args:
        name: absolute, as "lava.proc.lif.process".

    Raises:
        LavaMissing: lava-nc cannot be imported.
    """
    try:
        accept_lava()
        return importlib.import_module(name)
    except ImportError as error:
        raise LavaMissing(
            f"Lava: got {error}, need lava-nc 0.10.0; run `make`, or "
            "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
        ) from error
