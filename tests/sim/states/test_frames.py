"""Tables of pandas, which need not be there."""

import sys

import numpy as np
import pytest

from isotau.sim.states.frames import frame_of

COLUMNS = {"tau": np.array([0.1, 0.2]), "status": np.array(["ok", "slow"])}


def test_columns_become_a_table():
    frame = frame_of(COLUMNS)
    assert list(frame.columns) == ["tau", "status"]
    assert list(frame["tau"]) == [0.1, 0.2] and list(frame["status"]) == ["ok", "slow"]


def test_without_pandas_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"got no pandas, need it; pip install"):
        frame_of(COLUMNS)
