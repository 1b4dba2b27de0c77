"""What a child process took, against commands of isotau's that take next to nothing."""

import resource

import pytest

from benchmarks.chain.children import Machine, cost_of
from benchmarks.repository import ROOT


def test_a_command_takes_time_and_memory(tmp_path):
    cost = cost_of(("--version",), Machine(ROOT, tmp_path))
    assert 0 < cost.cpu_s and 0 < cost.wall_s < 60
    # A child's count begins with what its parent has: this very process.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    assert 10 < cost.peak_mb < max(1000, 1.01 * own)


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"isotau run nowhere: got exit status 2"):
        cost_of(("run", "nowhere"), Machine(ROOT, tmp_path))
