"""Pictures of a run: which there are, and what has room in them."""

import dataclasses

import numpy as np
import pytest

from isotau.reports.draw_run import draw

PNG = b"\x89PNG"


def names(folder) -> set[str]:
    assert all(path.read_bytes()[:4] == PNG for path in folder.iterdir())
    return {path.name for path in folder.iterdir()}


def test_what_there_is_is_drawn(carried, scaled, tmp_path):
    draw(scaled, tmp_path / "short")
    assert names(tmp_path / "short") == {"outputs.png", "kappa.png"}
    few = dataclasses.replace(carried.stages["fixed"])
    ran = dataclasses.replace(
        carried, stages=carried.stages | {"lava": few}, kappa=None
    )
    draw(ran, tmp_path / "whole")
    assert names(tmp_path / "whole") == {
        "outputs.png",
        "rasters.png",
        "tau_histograms.png",
        "tau_rate_against_fixed.png",
    }


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (2, 2), (6, 6), (40, 6)])
def test_conditions_that_have_no_room_are_left_out(
    carried, tmp_path, monkeypatch, count, shown
):
    """Evenly, with the first and the last kept."""
    seen = {}

    def outputs(path, stages, *, names, rule):
        seen.update({name: trials.labels for name, (_, trials) in stages.items()})

    monkeypatch.setattr("isotau.sim.plot.draw.outputs", outputs)
    labels = np.arange(12) * 10 % (10 * count)
    conditions = {int(label): str(label) for label in labels}

    def relabelled(trials):
        return dataclasses.replace(trials, labels=labels)

    plan = dataclasses.replace(
        carried.plan,
        test=relabelled(carried.plan.test),
        task=dataclasses.replace(carried.plan.task, conditions=conditions),
    )
    stages = {
        name: dataclasses.replace(stage, trials=relabelled(stage.trials), quiet=None)
        for name, stage in carried.stages.items()
    }
    draw(dataclasses.replace(carried, plan=plan, stages=stages, kappa=None), tmp_path)
    found = np.unique(seen["lif"])
    assert found.size == shown
    assert {labels.min(), labels.max()} <= set(found.tolist())
