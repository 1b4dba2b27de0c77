"""The child by itself; what it computes is tested through `run_lava`."""

import subprocess
import sys

import numpy as np
import pytest

from isotau.targets.on_lava import lava_child


@pytest.mark.slow
@pytest.mark.parametrize("job", ["absent", "damaged"])
def test_a_job_that_cannot_be_read_is_one_line_and_a_status(tmp_path, job):
    if job == "damaged":
        (tmp_path / lava_child.NETWORK).write_bytes(b"PK" + bytes(50))
        np.savez(tmp_path / lava_child.JOB, messages=np.zeros((1, 1, 1), np.int32))
    done = subprocess.run(
        [sys.executable, "-m", lava_child.__name__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == lava_child.FAILED
    assert "UnreadableFile: " in done.stderr and lava_child.NETWORK in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / lava_child.RESULTS["spikes"]).exists()
