"""Every example runs as it stands and prints what it promises."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SAYS = {
    "convert_low_rank.py": ("calibrate to the chip: accuracy", "scale to the chip: "),
    "convert_and_quantize.py": ("1/λ = ", "recurrent inhibitory", "rounded to zero"),
    "engine_and_lava.py": ("spikes that differ: 0",),
    "compare_timescales.py": ("LIF: ", "fixed point: ", "in both: "),
    "lab_timescales.py": ("ml says", "not identifiable", "ok"),
    "memory_code.py": ("rate: off over on the diagonal", "fixed: off over on the"),
    "nir_to_onnx.py": ("onnxruntime differ: 0", "letters read rightly: 0.9"),
    "norse_to_loihi.py": ("other than in Norse: 0", "Loihi 2, 1 cores, per trial"),
    "place_on_cores.py": (
        "4 of 128 cores",
        "with 32 profiles: 1 core",
        "energy, estimated",
    ),
    "preserve_timescales.py": ("rate to lif: ", "lif to fixed: "),
    "read_low_rank.py": ("correlation of κ: [", "saddle at κ", "stable at κ"),
    "replay_trace.py": ("dv = 163: the same", "dv = 153: not the same"),
    "tune_from_scratch.py": ("bptt  accuracy ", "eprop accuracy ", "converged"),
    "tune_network.py": ("fixed accuracy 0.", "made: 0; status converged"),
    "tune_quantized.py": ("8 bits: rate 1.000", "{1} bits, tuned: fixed 1.0"),
}

LONG = ("memory_code.py", "preserve_timescales.py")
"""Half a minute each."""


def test_every_example_is_tested_and_short():
    scripts = {path.name: path for path in EXAMPLES.glob("*.py")}
    assert set(scripts) == set(SAYS)
    for path in scripts.values():
        assert path.read_text().count("\n") < 60, path


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(script, marks=pytest.mark.long if script in LONG else ())
        for script in sorted(SAYS)
    ],
)
def test_example_runs(script, tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for words in SAYS[script]:
        assert words in done.stdout
    assert not done.stderr
