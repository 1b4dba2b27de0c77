"""What is left and said of a low-rank reading: numbers, picture, table, sentences."""

import json

import numpy as np
import pytest
from rich.console import Console

from isotau.reports import low_rank_report
from isotau.sim.lowrank.dynamics import Reduced


@pytest.fixture(scope="module")
def written(low_rank_reading, tmp_path_factory):
    folder = tmp_path_factory.mktemp("low-rank-report")
    path = low_rank_report.write(low_rank_reading, folder, {"input": "net.pt"})
    return path, json.loads(path.read_text())


def test_everything_is_left(written, low_rank_reading):
    path, report = written
    assert {file.name for file in path.parent.iterdir()} == {
        "lowrank.json", "low_rank.png",
    }  # fmt: skip
    assert (path.parent / "low_rank.png").read_bytes()[:4] == b"\x89PNG"
    assert (report["rank"], report["input"]) == (1, "net.pt")
    assert report["overlaps"]["names"] == ["m1", "n1", "I1", "b", "w1"]
    first = report["fixed_points"][0]
    tau = low_rank_reading.rests[0].point.modes.timescales[0]
    assert first["kind"] == "stable" and first["timescales_s"] == [tau]
    assert report["fixed_points"][1]["timescales_s"] == [None]
    assert len(first["slowest_of_all_units"]["timescales_s"]) == 3


def test_the_table_follows_every_mode(written):
    console = Console(width=110, record=True)
    console.print(low_rank_report.table(written[1]))
    text = console.export_text()
    assert "net.pt, rdm, rank 1, 12 trials" in text
    assert text.count("κ1") == 2
    assert all(stage in text for stage in ("rate", "lif", "fixed"))


def test_sentences_tell_where_it_rests(written):
    low, middle, high = low_rank_report.sentences(written[1])
    assert low.startswith("stable at κ = (−") and low.endswith(" ms")
    assert middle == "unstable at κ = (0.00), timescales growing" or "−0.00" in middle
    assert high.startswith("stable at κ = (")
    assert low_rank_report.sentences({"fixed_points": []}) == [
        "no fixed point was found without input"
    ]


def test_ranks_that_have_no_plane_are_drawn_too(low_rank_reading, tmp_path):
    """Rank 1 as a line, 2 as a plane; of more the flow is left out."""
    for rank in (2, 3):
        still = Reduced(
            rank=rank, tau=0.1, target=lambda k: 0 * np.asarray(k), coupling=np.diag
        )
        reading = low_rank_reading._replace(
            reduced=still, rests=[], factors=wider(low_rank_reading.factors, rank)
        )
        kappa = reading.kappa
        traces = {
            name: (np.repeat(trace, rank, axis=2), dt)
            for name, (trace, dt) in kappa.traces.items()
        }
        reading = reading._replace(kappa=kappa._replace(traces=traces))
        path = low_rank_report.draw(reading, tmp_path / f"{rank}.png")
        assert path.stat().st_size > 10_000


def wider(factors, rank):
    return type(factors)(
        m_vectors=np.repeat(factors.m_vectors, rank, axis=1),
        n_vectors=np.repeat(factors.n_vectors, rank, axis=1),
        energy=1.0,
        singular_values=np.repeat(factors.singular_values, rank),
    )


def test_the_command_leaves_it_all(isotau, low_rank_file, rate_net, tmp_path):
    from isotau.convert.records import storage

    status, said, errors = isotau(
        "lowrank", low_rank_file, "--task", "rdm", "--trials", 12,
        "--search-trials", 9, "--dt-ms", 20, "--tau-ms", 100,
    )  # fmt: skip
    assert status == 0, errors
    assert "correlation of κ" in said and "stable at κ" in said
    assert (tmp_path / "isotau-lowrank/low_rank.png").exists()
    full = storage.save(rate_net, tmp_path / "full.rate.npz")
    bad, _, errors = isotau("lowrank", full, "--task", "xor")
    assert bad == 2 and "without low-rank factors" in errors
