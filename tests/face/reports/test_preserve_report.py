"""What `isotau preserve` leaves in its folder, of networks whose τ are known."""

import csv
import io
import json
import math

import numpy as np
import pytest

from isotau.jobs.timescales.preserve import (
    COMPARED,
    METHODS,
    NetworkTimescales,
    PreservationStudy,
    PreserveConfig,
    StageTimescales,
    compare_stages,
)
from isotau.reports import preserve_report
from isotau.reports.preserve_report import neurons_csv, numbers, write
from isotau.sim.preservation import PreservationConfig, read_json
from isotau.sim.states import (
    Margins,
    StateBudget,
    StateSource,
    StateTrials,
    compare_states,
)
from isotau.sim.timescales import Status, Timescales, read_csv

N, LAGS = 60, np.arange(1, 15) * 0.05
FACTORS = {"rate": 1.0, "lif": 1.0, "fixed": 0.5}
MARGINS = PreservationConfig(draws=400)
PICTURES = {
    "forest", "scatter", "bland_altman", "attrition", "curves", "distributions",
    "quantiles", "rate", "tau_syn",
}  # fmt: skip


def timescales(tau: np.ndarray, method: str, rng: np.random.Generator) -> Timescales:
    """τ as an estimator would find them that errs by 10 %; the last neuron has none."""
    found = tau * np.exp(0.1 * rng.standard_normal(tau.size))
    found[-1] = np.nan
    return Timescales(
        tau=found,
        status=(*[Status.OK] * (tau.size - 1), Status.NOT_IDENTIFIABLE),
        amplitude=np.full(tau.size, 0.5),
        offset=np.zeros(tau.size),
        rate=rng.uniform(5, 20, tau.size),
        method=method,
        bin_width=0.05,
        lags=14,
    )


def network(name: str, seed: int) -> NetworkTimescales:
    """One whose τ are halved on the chip, and only there."""
    rng = np.random.default_rng(seed)
    tau = 0.15 * np.exp(0.5 * rng.standard_normal(N))
    stages = {}
    for stage, factor in FACTORS.items():
        own = factor * tau
        curve = 0.4 * np.exp(-LAGS[:, None] / own)
        stages[stage] = StageTimescales(
            {m: tuple(timescales(own, m, rng) for _ in "12") for m in METHODS},
            curve + 0.01 * rng.standard_normal((2, LAGS.size, N)),
            0.05,
            {},
        )
    return NetworkTimescales(
        name=name,
        stages=stages,
        accuracy={"rate": 1.0, "lif": 0.975, "fixed": 0.95},
        tau_syn=rng.uniform(0.02, 0.1, N),
        tau_syn_effective=np.where(np.arange(N) == 3, np.nan, 0.033),
        excitatory=np.arange(N) < 48,
    )


@pytest.fixture(scope="module")
def study() -> PreservationStudy:
    networks = [network(f"net{k}", k) for k in range(5)] + [network("<b>&", 5)]
    return PreservationStudy(
        networks=networks,
        comparisons=[
            compare_stages(networks, *two, margins=MARGINS) for two in COMPARED
        ],
        config=PreserveConfig(margins=MARGINS),
        inputs=[{"input": f"{net.name}.pt"} for net in networks],
    )


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("preserved")
    assert write(study, folder) == folder / "preservation.html"
    return folder


def test_the_verdicts_are_those_that_were_built_in(study):
    said = numbers(study)["comparisons"]
    assert [(one["a"], one["b"], one["verdict"]) for one in said] == [
        ("rate", "lif", "preserved"),
        ("lif", "fixed", "not preserved"),
        ("rate", "fixed", "not preserved"),
    ]
    value, low, high = said[1]["by_method"]["ml"]["shift"]
    assert low < math.log(0.5) < high and value == pytest.approx(math.log(0.5), abs=0.1)
    assert said[0]["primary"] == "ml" and set(said[0]["verdicts"]) == {
        "ml",
        "exponential",
        "curves",
    }


def test_the_numbers_are_written_as_they_are(study, folder):
    text = (folder / "preservation.json").read_text(encoding="utf-8")
    assert "NaN" not in text and "Infinity" not in text
    found = json.loads(text)
    assert found == json.loads(json.dumps(numbers(study)))
    assert found["seeds"]["net0"] == 0 and found["seeds"]["<b>&"] == 5
    assert found["settings"]["trials"] == 200
    assert found["settings"]["run"]["engine"] == "compiled"
    assert {"isotau", "numpy", "python"} <= set(found["versions"])
    first = found["networks"][0]
    assert first["accuracy"]["lif"] == 0.975 and first["input"] == "net0.pt"
    assert first["n_neurons"] == 60 and first["n_excitatory"] == 48
    assert first["tau_syn_effective_s"] == [0.033] * 3  # the one NaN does not count
    measured = first["timescales"]["fixed"]["ml"]
    assert measured["status"] == {"ok": 59, "not identifiable": 1}
    tau = study.networks[0].stages["fixed"].timescales["ml"][0].tau[:-1]
    wanted = np.sort(tau)[[0, 14, 29, 44, 58]]
    assert wanted[1] <= measured["tau_quartiles_s"][0] <= wanted[2]
    assert measured["tau_quartiles_s"][1] == wanted[2]


def test_every_run_of_every_stage_is_written(study, folder):
    names = {path.name for path in (folder / "timescales").iterdir()}
    assert len(names) == 6 * 3 * 2 * 2
    for end, run in (("", 0), (".again", 1)):
        kept = read_csv(folder / f"timescales/net2.lif.exponential{end}.csv")
        given = study.networks[2].stages["lif"].timescales["exponential"][run]
        assert np.array_equal(kept.tau, given.tau, equal_nan=True)


def test_neurons_stand_with_all_their_time_constants(study, folder):
    text = (folder / "neurons.csv").read_text(encoding="utf-8")
    assert text == neurons_csv(study.networks)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 6 * N
    row, net = rows[N + 3], study.networks[1]
    assert (row["network"], row["neuron"], row["excitatory"]) == ("net1", "3", "1")
    assert float(row["tau_syn_s"]) == net.tau_syn[3]
    assert math.isnan(float(row["tau_syn_effective_s"]))
    tau = net.stages["fixed"].timescales["exponential"][0].tau
    assert float(row["tau_fixed_exponential_s"]) == tau[3]


def test_states_stand_beside_what_spikes_say(study, ou_stages):
    """τ of every unit's state, which a unit's copies share; and a sentence."""
    tau = np.linspace(0.03, 0.06, N // 2)
    narrow = Margins(ratio=1e-3, shift=1e-4)  # which nothing meets in so little time
    states = compare_states(
        ou_stages(tau), COMPARED, margins=narrow, budget=StateBudget(seconds=0)
    )
    net = study.networks[1]._replace(states=states)
    rows = list(csv.DictReader(io.StringIO(neurons_csv([study.networks[0], net]))))
    assert math.isnan(float(rows[0]["tau_rate_state_s"]))
    for stage, measured in (
        ("rate", states[0].pair.a),
        ("lif", states[0].pair.b),
        ("fixed", states[1].pair.b),
    ):
        for copy in range(2):
            found = float(rows[N + 6 + copy][f"tau_{stage}_state_s"])
            assert found == measured.tau[3]
    said = numbers(study._replace(networks=[net], inputs=study.inputs[:1]))["states"]
    assert [each["verdict"] for each in said["net1"]] == ["not identifiable"] * 3
    assert said["net1"][0]["sentence"].startswith("It cannot be told yet")


def test_the_same_numbers_have_the_same_id(study):
    found = numbers(study)
    assert len(found["id"]) == 16 and found == numbers(study)
    assert numbers(study._replace(config=PreserveConfig(trials=9)))["id"] != found["id"]
    # Only how long it took is no part of it.
    rows = {"net": [{"verdict": "preserved", "wall_s": seconds} for seconds in (1, 2)]}
    one, other = ({"states": {"net": [row]}} for row in rows["net"])
    assert preserve_report._id_of(one) == preserve_report._id_of(other)


@pytest.fixture
def ou_stages():
    """A function of τ: the three stages, whose states are such processes."""

    def stages(tau):
        def draw(trials, first, length, seed):
            rng = np.random.default_rng([seed, first])
            keep = np.exp(-0.01 / tau)
            x = np.zeros((round(length / 0.01), trials, len(tau)))
            x[0] = rng.standard_normal(x[0].shape)
            for t in range(1, len(x)):
                noise = rng.standard_normal(x[0].shape)
                x[t] = keep * x[t - 1] + np.sqrt(1 - keep**2) * noise
            return StateTrials(x)

        return [
            StateSource(name=name, interval=0.01, n=len(tau), draw=draw)
            for name in FACTORS
        ]

    return stages


def test_each_comparison_has_its_folder(study, folder):
    for (a, b), given in zip(COMPARED, study.comparisons, strict=True):
        own = folder / f"{a}-{b}"
        pictures = {path.stem for path in own.glob("*.png")}
        assert pictures == PICTURES
        assert all(p.read_bytes()[:4] == b"\x89PNG" for p in own.glob("*.png"))
        for method in METHODS:
            kept = read_json(own / f"{method}.json")
            assert kept.verdict is given.by_method[method].verdict
            assert kept.reason == given.by_method[method].reason


def test_states_are_drawn(study, ou_stages, tmp_path):
    """Of a few networks, and where every unit has left there is one panel less."""
    tau = np.linspace(0.03, 0.06, 12)
    narrow = Margins(ratio=1e-3, shift=1e-4)  # which nothing meets in so little time
    states = compare_states(
        ou_stages(tau), COMPARED, margins=narrow, budget=StateBudget(seconds=0)
    )
    wide = preserve_report.draw_states(states, tmp_path / "states" / "net.png")
    assert wide == (tmp_path / "states" / "net.png").read_bytes()
    slow = ou_stages(np.full(12, 400.0))
    none = compare_states(slow, COMPARED, budget=StateBudget(seconds=0))
    narrow = preserve_report.draw_states(none, tmp_path / "none.png")
    sizes = [int.from_bytes(png[16:20], "big") for png in (wide, narrow)]
    assert sizes[1] < sizes[0]
