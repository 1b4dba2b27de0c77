"""Segments are whole unless asked for, and are known without torch."""

import subprocess
import sys

from isotau.convert.tuning.loss.segments import WHOLE, Segments


def test_nothing_is_cut_unless_asked_for():
    assert Segments() == WHOLE and not any(WHOLE)


def test_a_configuration_needs_no_torch():
    """So that a command line can say quickly what there is to choose from."""
    module = "isotau.convert.tuning.learner.tune_config"
    command = f"import sys, {module}; print('torch' in sys.modules)"
    child = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert child.stdout == "False\n"
