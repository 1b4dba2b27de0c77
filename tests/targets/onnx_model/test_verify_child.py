import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.rate import RateRNN
from isotau.targets.onnx_model.rate_to_onnx import STATES, rate_to_onnx
from isotau.targets.onnx_model.verify_child import (
    ACCOUNT,
    FEEDS,
    JOB,
    REFUSED,
    RESULTS,
    Refused,
    VerifyJob,
    check_maker,
    maker,
)

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

N, STEPS, BATCH = 10, 6, 2
DAMAGED = 100
SPARE = 1 << 30
RNG = np.random.default_rng(0)
NET = RateRNN(
    w_rec=RNG.normal(size=(N, N)) / N**0.5,
    w_in=RNG.normal(size=(N, 2)),
    w_out=RNG.normal(size=(1, N)),
    bias=RNG.normal(size=N),
    b_out=np.zeros(1),
    tau=RNG.uniform(0.02, 0.1, N),
    dale=np.zeros(N),
    activation="tanh",
    noise_std=0.0,
    dt=0.01,
)
MODEL = rate_to_onnx(NET).SerializeToString()

DRIVER = """
import os, resource, signal, sys, time
from pathlib import Path
import onnxruntime
from isotau.targets.onnx_model import verify_child

for folder in sys.argv[1:]:
    begun = time.monotonic()
    pid = os.fork()
    if not pid:
        # A file may print: it is not the driver that speaks.
        os.dup2(os.open(folder + "/log", os.O_CREAT | os.O_WRONLY), 2)
        signal.alarm(20)
        try:
            verify_child.main(Path(folder))
        except BaseException:
            verify_child._leave(*sys.exc_info())
        os._exit(0)
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    print(code, used.ru_maxrss, time.monotonic() - begun, flush=True)
"""
"""Runs the child's job in each folder in a process of its own, without starting Python
anew: prints exit status, peak memory in KiB and seconds."""


def job(folder, content, **changes):
    folder.mkdir()
    path = folder / "net.onnx"
    path.write_bytes(content)
    fields = {
        "path": str(path),
        "max_bytes": 1 << 28,
        "fingerprint": NET.fingerprint,
        "pieces": [2, STEPS - 2],
        "sequences": ["inputs"],
        "states": STATES,
        "traced": ["x"],
        "outputs": ["outputs", "rates"],
        "optional": [],
        "need_bytes": 1 << 16,
    }
    (folder / JOB).write_text(json.dumps(VerifyJob(**fields | changes)._asdict()))
    inputs = np.random.default_rng(1).normal(size=(STEPS, BATCH, 2))
    np.savez(folder / FEEDS, inputs=inputs, x=np.zeros((BATCH, N)))
    return str(folder)


def drive(folders):
    command = [sys.executable, "-c", DRIVER, *folders]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return [(int(a), 1024 * int(b), float(c)) for a, b, c in lines]


def damaged(k):
    """Return the model cut short, or with bits flipped."""
    rng = np.random.default_rng(k)
    content = bytearray(MODEL)
    if k % 4 == 0:
        del content[int(rng.integers(len(content))) :]
        return bytes(content)
    # what is not weights is hit as often as what is
    weights = content.find(b"w_rec")
    low, high = (weights, len(content)) if k % 2 else (0, weights)
    for place in rng.integers(low, high, size=int(rng.integers(1, 4))):
        content[place] ^= 1 << int(rng.integers(8))
    return bytes(content)


def test_a_job_leaves_its_results(tmp_path):
    ((status, _, _),) = drive([job(tmp_path / "job", MODEL)])
    assert status == 0
    with np.load(tmp_path / "job" / RESULTS) as results:
        shapes = {name: results[name].shape for name in results}
        assert (results["x"][-1] == results["state.x"]).all()
    assert shapes == {
        "outputs": (STEPS, BATCH, 1),
        "rates": (STEPS, BATCH, N),
        "x": (STEPS, BATCH, N),
        "state.x": (BATCH, N),
    }
    account = json.loads((tmp_path / "job" / ACCOUNT).read_text())
    assert account["dtype"] == "tensor(float)" and account["maker"] == NET.fingerprint


@pytest.mark.slow
def test_damaged_files_neither_crash_nor_hang_nor_take_all_memory(tmp_path):
    folders = [job(tmp_path / "whole", MODEL)]
    folders += [job(tmp_path / str(k), damaged(k)) for k in range(DAMAGED)]
    whole, *ends = drive(folders)
    assert len(ends) == DAMAGED and whole[0] == 0
    for k, (status, peak, took) in enumerate(ends):
        log = (tmp_path / str(k) / "log").read_text(errors="replace")
        assert status in (0, REFUSED), (k, status, log)
        assert "got" in log and "need" in log if status else not log
        assert peak < whole[1] + SPARE and took < 20
    assert sum(status == REFUSED for status, _, _ in ends) > DAMAGED / 3


def test_what_is_wrong_with_a_job_is_said_in_one_line(tmp_path):
    folders = [
        job(tmp_path / "other", MODEL, fingerprint="f" * 64),
        job(tmp_path / "small", MODEL, need_bytes=100),
        job(tmp_path / "missing", MODEL, outputs=["spikes"]),
        job(tmp_path / "unfed", MODEL, sequences=["inputs", "noise"]),
        job(tmp_path / "large", MODEL, max_bytes=100),
        job(tmp_path / "text", b"text"),
    ]
    needles = [
        "got a file made from another network",
        "outputs: got",
        "outputs: got outputs, rates, x_after, need spikes, x_after",
        "KeyError",
        "need at most 100",
        "need an ONNX model",
    ]
    ends = drive(folders)
    assert [status for status, _, _ in ends] == [4, 4, 4, 1, 4, 4]
    for folder, needle in zip(folders, needles, strict=True):
        (line,) = Path(folder, "log").read_text().splitlines()
        assert needle in line


def test_a_model_names_its_maker_or_nobody():
    model = rate_to_onnx(NET)
    assert maker(model) == NET.fingerprint
    assert check_maker(model, NET.fingerprint) is model
    with pytest.raises(Refused, match="made from another network"):
        check_maker(model, "0" * 64)
    del model.metadata_props[:]
    assert maker(model) == "" and check_maker(model, "0" * 64) is model
    assert issubclass(Refused, UnreadableFile)
