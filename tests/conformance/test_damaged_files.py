"""Damaged files of every format give a clear error or a valid record, nothing worse."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
FORMATS = ("npz", "mat 5", "mat 7.3", "nwb", "nir", "pt", "pt legacy", "onnx")


def run(tmp_path, *options):
    """Return what came of each file, and how the script ended."""
    for name in ("pynwb", "nir", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    out = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks.damage", *options]
    done = subprocess.run(
        [*command, "--json", str(out)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.exists(), done.stderr
    return json.loads(out.read_text()), done


def check(results, done, count):
    assert len(results) == count
    wrong = [r for r in results if r["outcome"] not in ("clear error", "read")]
    assert wrong == [] and done.returncode == 0, done.stdout
    assert {r["format"] for r in results} == set(FORMATS)
    assert max(r["peak"] for r in results) < 2**30
    refused = Counter(r["format"] for r in results if r["outcome"] == "clear error")
    for format_ in FORMATS:
        assert refused[format_] > 0.3 * count / len(FORMATS), format_


def test_some_hundred_damaged_files(tmp_path):
    # By one worker: of so few files the imports of a second one would take as long.
    results, done = run(tmp_path, "--count", "240", "--seed", "1", "--workers", "1")
    check(results, done, 240)


@pytest.mark.long
def test_ten_thousand_damaged_files(tmp_path):
    results, done = run(tmp_path, "--count", "10000", "--seed", "2")
    check(results, done, 10_000)


@pytest.fixture
def script():
    """Return the benchmark as a module."""
    for name in ("pynwb", "nir", "onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    from benchmarks.damage import __main__

    return __main__


CASE = '{"number": 7, "format": "npz", "file": "a", "damage": "b"}'


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crash"),
        ("raise SystemExit(3)", "crash"),
        ("import time; time.sleep(60)", "hang"),
        ("sum(iter(int, 1))", "hang"),
        (
            """print('{"outcome": "read", "seconds": 0, "peak": 0}', flush=True)""",
            "read",
        ),
    ],
)
def test_a_worker_that_dies_or_hangs_is_told(
    script, after, outcome, tmp_path, monkeypatch
):
    monkeypatch.setattr(script, "PATIENCE_S", 2.0)
    worker = script.Worker(0, tmp_path, None)
    program = f"input(); print('''{CASE}''', flush=True); {after}"
    worker.command = [sys.executable, "-c", program]
    started = time.monotonic()
    assert worker.read(7)["outcome"] == outcome
    assert time.monotonic() - started < 20
    worker.end()
    assert worker.process is None


OUTCOMES = [
    ("raise UnreadableFile(f'{path}: got nothing, need all')", "clear error", ""),
    ("raise ValueError(f'{path}: got nothing, need all')", "clear error", ""),
    ("raise ValueError(f'{path}: no')", "unclear error", "ValueError: "),
    ("raise UnreadableFile('got nothing')", "unclear error", "got nothing"),
    ("raise KeyError(str(path))", "unclear error", "KeyError"),
    ("warnings.warn('odd')", "unclear error", "UserWarning: odd"),
    ("return (np.array([1.0, np.nan]),)", "wrongly read", "is not finite"),
    ("return SpikeTimes(**FIELDS)", "read", ""),
    ("return {'x': np.array([np.nan])}", "read", ""),  # variables as they are
    ("return bytearray(1 << 34)", "more than 1 GiB", "MemoryError"),
    ("return [b'x' * (1 << 30), b'y' * (1 << 28)]", "more than 1 GiB", ""),
]
PROGRAM = """
import json, sys, warnings
import numpy as np
from pathlib import Path
from benchmarks.damage.worker import read_case
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.spikes import SpikeTimes
FIELDS = dict(times=[], trial=[], neuron=[], trials=[1], duration=1.0)
for line in json.load(sys.stdin):
    exec(f"def read(path): {line}")
    print(json.dumps(read_case(read, Path("case.npz"), False)[:2]))
"""


def test_what_counts_as_what(script, tmp_path):
    """In a process of its own, whose memory gets a limit."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([line for line, _, _ in OUTCOMES]),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(OUTCOMES), done.stderr
    for (line, outcome, said), (told, error) in zip(OUTCOMES, found, strict=True):
        assert told == outcome, line
        assert said in error, line


def test_a_file_can_be_made_again_from_its_number(script, tmp_path):
    from benchmarks.damage.cases import DAMAGES, FORMATS, make_case

    script.write_seeds(tmp_path)
    assert FORMATS == tuple(DAMAGES)
    assert set(FORMATS) == set(globals()["FORMATS"])
    for number in range(40):
        one, other = (make_case(3, number, tmp_path) for _ in range(2))
        assert one[:-1] == other[:-1]
        if one.format != "pt legacy":  # which names storages by their addresses
            assert one.content == other.content
        assert one.format == FORMATS[number % len(FORMATS)]
    assert make_case(4, 0, tmp_path) != make_case(3, 0, tmp_path)


def test_every_damage_damages(script, tmp_path):
    from benchmarks.damage.cases import DAMAGES
    from benchmarks.damage.formats.any_bytes import BYTES, WORDS
    from benchmarks.damage.seeds.catalogue import SEEDS

    script.write_seeds(tmp_path)
    for format_, damages in DAMAGES.items():
        name = next(seed.name for seed in SEEDS if seed.format == format_)
        whole = (tmp_path / name).read_bytes()
        for damage in (BYTES | WORDS | damages).values():
            rng = np.random.default_rng(0)
            assert any(damage.make(rng, whole) != whole for _ in range(5))
