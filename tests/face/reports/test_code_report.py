"""What is left and said of a memory code: numbers, a picture, a table, sentences."""

import json

import numpy as np
import pytest
from rich.console import Console

from isotau.jobs.code_network import CodeConfig, NetworkCode
from isotau.jobs.run_config import RunConfig
from isotau.reports import code_report
from isotau.sim.coding.clusters import Clusters
from isotau.sim.coding.decoding import half_life
from isotau.sim.coding.discriminability import Discriminability, Interval
from isotau.sim.coding.fano import MatchedFano
from isotau.sim.coding.memory_code import GROUPS, CodingConfig, GroupCode, MemoryCode

TIMES, LAGS = np.array([0.5, 0.8, 1.1]), np.array([0.0, 0.1, 0.2])
CONFIG = CodeConfig(run=RunConfig(task="dms-750", trials=12))


def group(stability, curve):
    values = np.eye(3) + 0.5 * (1 - np.eye(3))
    curves = np.array(curve) + 0.01 * np.arange(-2, 3)[:, None]
    rng = np.random.default_rng(0)
    return GroupCode(
        discriminability=Discriminability(
            matrix=values, times=TIMES, units=5, networks=1, trials=6
        ),
        stability=Interval(stability, np.nan, np.nan),
        off=Interval(0.5, np.nan, np.nan),
        diagonal=Interval(1.0, np.nan, np.nan),
        half_life=None if curve == [] else half_life(curves, LAGS, rng=rng),
        rate=8.0,
    )


def memory_code(clusters=True):
    groups = {name: group(0.9, [0.9, 0.9, 0.8]) for name in GROUPS}
    groups["short"] = group(-0.25, [0.9, 0.6, 0.55])
    groups["short_matched"] = group(np.nan, [0.9, 0.6, 0.55])
    labels = np.zeros((3, 3), dtype=int)
    labels[0, 2], labels[2, 0] = 1, 2
    return MemoryCode(
        groups=groups,
        more_stable=Interval(0.4, np.nan, np.nan),
        clusters=Clusters(
            difference=np.zeros((3, 3)), times=TIMES, labels=labels, signs=[1, -1],
            p=[0.01, 0.5], permutations=99,
        ) if clusters else None,
        shuffled="units" if clusters else "",
        edges=(0.05, 0.2),
        fano={
            "long_matched": MatchedFano(1.25, 0.1, 3),
            "short_matched": MatchedFano(np.nan, np.nan, 0),
        },
        networks=1,
        config=CodingConfig(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def code(carried):
    codes = {"rate": memory_code(), "lif": memory_code(), "fixed": memory_code(False)}
    quiet = {name: stage.quiet.timescales for name, stage in carried.stages.items()}
    ratios = {stage: {"all": 0.5, "long": 0.75, "short": np.nan} for stage in codes}
    return NetworkCode(carried, quiet, codes, ratios)


@pytest.fixture(scope="module")
def written(code, tmp_path_factory):
    out = tmp_path_factory.mktemp("code") / "out"
    path = code_report.write(code, CONFIG, out, {"input": "net.mat"})
    return path, json.loads(path.read_text())


def test_everything_is_left(written):
    path, report = written
    assert {file.name for file in path.parent.iterdir()} == {
        "code.json", "memory_code.png",
        *(f"{stage}.timescales.csv" for stage in ("rate", "lif", "fixed")),
    }  # fmt: skip
    assert (path.parent / "memory_code.png").read_bytes()[:4] == b"\x89PNG"
    assert (report["input"], report["task"], report["n_trials"]) == (
        "net.mat", "dms-750", 12,
    )  # fmt: skip
    rate = report["stages"]["rate"]
    assert rate["groups"]["short"]["stability"]["value"] == -0.25
    assert rate["timescales"]["method"] == "ml"
    assert rate["off_over_on_as_published"] == {"all": 0.5, "long": 0.75, "short": None}
    assert 0 <= rate["accuracy"] <= 1


def test_the_table_has_a_row_per_stage(written):
    console = Console(width=120, record=True)
    console.print(code_report.table(written[1]))
    text = console.export_text()
    assert "net.mat, dms-750, 12 trials" in text
    row = next(line for line in text.splitlines() if line.startswith("│ lif"))
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[2:4] == ["0.90", "−0.25"]
    assert cells[4] == "> 200 ms" and cells[5].endswith(" ms")
    assert cells[6:] == ["1.25", "undefined"]


def test_sentences_tell_who_holds_more_stably(written):
    rate, _, fixed = code_report.sentences(written[1])
    assert rate == (
        "rate: off over on the diagonal 0.90 for τ > 200 ms, −0.25 for τ < 50 ms; "
        "matched in rate, long less short 0.40, more in 1 and less in 0 clusters with "
        "p ≤ 0.05 (units shuffled)."
    )
    assert fixed.endswith("0.40, too few units to test.")


def test_units_that_hold_nothing_have_no_half_life(written):
    lost = written[1]["stages"]["rate"]["groups"]["long_matched"]
    lost["half_life"] = None
    low = written[1]["stages"]["rate"]["groups"]["short_matched"]["half_life"]
    low |= {"seconds": None, "status": "not above chance"}
    console = Console(width=120, record=True)
    console.print(code_report.table(written[1]))
    rows = console.export_text().splitlines()
    row = next(line for line in rows if line.startswith("│ rate"))
    assert "no units" in row and "no code" in row


@pytest.mark.slow
def test_the_command_leaves_it_all(isotau, delay_net, tmp_path):
    from isotau.convert.records import storage

    storage.save(delay_net, tmp_path / "delay.rate.npz")
    status, said, errors = isotau(
        "code", "delay.rate.npz", "--task", "dms-750", "--trials", 24,
        "--search-trials", 9, "--quiet-trials", 24,
    )  # fmt: skip
    assert status == 0, errors
    assert "fixed: off over on the diagonal" in said
    assert (tmp_path / "isotau-code/code.json").exists()
    bad, _, errors = isotau("code", "delay.rate.npz", "--task", "xor")
    assert bad == 2 and "got xor with a delay of 50 ms" in errors
