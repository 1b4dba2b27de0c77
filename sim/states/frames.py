"""Columns of numbers as a table of pandas, which isotau itself does not need."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas


def frame_of(columns: Mapping[str, np.ndarray]) -> "pandas.DataFrame":
    """Return columns of equal length as a table.

    Raises:
        ImportError: without pandas (`pip install isotau[frames]`).
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "to_frame: got no pandas, need it; pip install 'isotau[frames]'"
        ) from error
    return pandas.DataFrame(dict(columns))
