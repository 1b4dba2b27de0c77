from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from isotau.convert.read.read_spikernn import read_spikernn, write_spikernn
from isotau.convert.records.rate import RateRNN


def some_net(**changed: Any) -> RateRNN:
    rng = np.random.default_rng(0)
    dale = np.array([1, 1, -1, 1, -1])
    fields: dict[str, Any] = {
        "w_rec": np.maximum(rng.normal(size=(5, 5)), 0) * dale + 0.0,
        "w_in": rng.normal(size=(5, 2)),
        "w_out": rng.normal(size=(3, 5)),
        "bias": np.zeros(5),
        "b_out": rng.normal(size=3),
        "tau": np.array([0.020, 0.031, 0.05, 0.0999, 0.1]),
        "dale": dale,
        "activation": "sigmoid",
        "noise_std": 0.1,
        "dt": 0.005,
    }
    return RateRNN(**(fields | changed))


def assert_close(a: RateRNN, b: RateRNN) -> None:
    for name in ("w_rec", "w_in", "w_out", "bias", "b_out"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-7)
    assert a.tau == pytest.approx(b.tau, rel=1e-9)
    assert np.array_equal(a.dale, b.dale)
    for name in ("activation", "ceiling", "noise_std", "dt"):
        assert getattr(a, name) == getattr(b, name)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "softplus"])
@pytest.mark.parametrize("tau_range", [None, (0.0199, 0.11)])
def test_reading_gives_back_what_was_written(
    tmp_path: Path, activation: str, tau_range: tuple[float, float] | None
) -> None:
    ceiling = None if activation == "sigmoid" else 20.0
    net = some_net(activation=activation, ceiling=ceiling)
    path = write_spikernn(net, tmp_path / "net.mat", tau_range=tau_range)
    assert_close(read_spikernn(path).net, net)


def test_numbers_of_single_precision_come_back_exactly(tmp_path: Path) -> None:
    net = some_net(w_rec=some_net().w_rec.astype(np.float32))
    again = read_spikernn(write_spikernn(net, tmp_path / "net.mat")).net
    assert np.array_equal(again.w_rec, net.w_rec)


def test_the_same_network_gives_the_same_file(tmp_path: Path) -> None:
    paths = [write_spikernn(some_net(), tmp_path / name) for name in ("a", "b")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"Created on" not in paths[0].read_bytes()[:128]


def test_equal_taus_are_written_as_one(tmp_path: Path) -> None:
    net = some_net(tau=np.full(5, 0.035))
    path = write_spikernn(net, tmp_path / "net.mat")
    assert scipy.io.loadmat(path)["taus"] == pytest.approx(np.array([[7.0]]))
    assert_close(read_spikernn(path).net, net)


def test_mixed_signs_are_written_as_training_without_dale(tmp_path: Path) -> None:
    w_rec = np.random.default_rng(1).normal(size=(5, 5))
    net = some_net(w_rec=w_rec, dale=np.zeros(5))
    assert_close(read_spikernn(write_spikernn(net, tmp_path / "net.mat")).net, net)


def test_the_file_is_as_the_format_says(tmp_path: Path) -> None:
    net = some_net()
    file = scipy.io.loadmat(write_spikernn(net, tmp_path / "net.mat"))
    assert file["w"].dtype == np.float32 and (file["w"] >= 0).all()
    effective = (file["w"] @ file["m"]) * file["som_m"]
    assert effective == pytest.approx(net.w_rec, rel=1e-7)
    assert (file["N"].item(), file["som_N"].item()) == (5, 0)
    assert file["exc"].ravel().tolist() == [1, 1, 0, 1, 0]
    assert file["inh"].ravel().tolist() == [0, 0, 1, 0, 1]
    assert (file["b_out"].shape, file["taus"].shape) == ((3, 1), (1, 2))
    assert file["taus_gaus"].shape == (5, 1)
    assert file["activation"].tolist() == ["sigmoid"]
    share = 1 / (1 + np.exp(-file["taus_gaus"].ravel()))
    low, high = file["taus"].ravel()
    assert 0.005 * (share * (high - low) + low) == pytest.approx(net.tau)


def test_all_that_the_format_cannot_hold_is_named_at_once(tmp_path: Path) -> None:
    net = some_net(
        bias=np.ones(5),
        noise_std=0.2,
        dt=0.001,
        dale=np.array([1, 0, -1, 1, -1]),
        activation="tanh",
        x0=np.ones(5),
        readout_bias=np.ones(5),
    )
    with pytest.raises(ValueError, match="network: got what spikeRNN's") as caught:
        write_spikernn(net, tmp_path / "net.mat")
    for part in (
        "bias: got a drive other than 0",
        "noise_std: got 0.2, need 0.1",
        "dt: got 0.001 s, need 0.005",
        "dale: got mixed signs in some units only",
        "activation: got tanh, need one of sigmoid, relu, softplus",
        "x0: got a start other than N(0, 0.01²)",
        "readout_bias: got other than 0",
    ):
        assert part in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_mixed_signs_need_a_negative_weight_to_be_told_apart(tmp_path: Path) -> None:
    net = some_net(w_rec=np.ones((5, 5)), dale=np.zeros(5))
    with pytest.raises(ValueError, match="mixed signs and no negative weight"):
        write_spikernn(net, tmp_path / "net.mat")


@pytest.mark.parametrize("tau_range", [(0.02, 0.2), (0.01, 0.1), (0.03, 0.05)])
def test_a_range_that_does_not_hold_every_tau_is_refused(
    tmp_path: Path, tau_range: tuple[float, float]
) -> None:
    with pytest.raises(
        ValueError, match=r"tau_range: got .* around the network's 0.02"
    ):
        write_spikernn(some_net(), tmp_path / "net.mat", tau_range=tau_range)


@pytest.mark.parametrize(
    ("activation", "ceiling", "text"),
    [
        ("sigmoid", 0.5, "ceiling: got 0.5, need None"),
        ("relu", None, "ceiling: got None, need 20.0"),
        ("softplus", 5.0, "ceiling: got 5.0, need 20.0"),
    ],
)
def test_another_ceiling_is_refused(
    tmp_path: Path, activation: str, ceiling: float | None, text: str
) -> None:
    net = some_net(activation=activation, ceiling=ceiling)
    with pytest.raises(ValueError, match=text):
        write_spikernn(net, tmp_path / "net.mat")
