"""What a child process took, against commands of isotau's that take next to nothing."""

import pytest

from benchmarks.chain.children import Machine, cost_of
from benchmarks.repository import ROOT


def test_a_command_takes_time_and_memory(tmp_path):
    cost = cost_of(("--version",), Machine(ROOT, tmp_path))
    assert 0 < cost.cpu_s and 0 < cost.wall_s < 60
    # Of a child it begins with what its parent has.
    assert 10 < cost.peak_mb < 8000


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"isotau run nowhere: got exit status 2"):
        cost_of(("run", "nowhere"), Machine(ROOT, tmp_path))
