"""Small networks that many tests want, and packages that bring parts of isotau."""

import sys
from collections.abc import Callable

import numpy as np
import pytest

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN


@pytest.fixture
def rate_net() -> RateRNN:
    """A random Dale network of 24 units, 2 inputs, 1 output, at moderate gain."""
    rng = np.random.default_rng(5)
    n = 24
    dale = np.where(np.arange(n) < 18, 1, -1)
    w = np.abs(rng.standard_normal((n, n))) * (rng.random((n, n)) < 0.3) * 0.4
    return RateRNN(
        w_rec=w * dale,
        w_in=rng.standard_normal((n, 2)),
        w_out=0.1 * rng.standard_normal((1, n)),
        bias=0.1 * rng.standard_normal(n),
        b_out=[0.05],
        tau=rng.uniform(0.02, 0.1, n),
        dale=dale,
        activation="sigmoid",
        noise_std=0.1,
        dt=0.005,
    )


@pytest.fixture
def lif_net() -> LIFNetwork:
    """A random network of 20 LIF neurons that fires at some tens of Hz."""
    rng = np.random.default_rng(6)
    n = 20
    signs = np.where(np.arange(n) < 15, 1, -1)
    return LIFNetwork(
        w_in=1e-3 * rng.standard_normal((n, 2)),
        w_rec=1.5e-3 * np.abs(rng.standard_normal((n, n))) * signs,
        w_out=0.02 * rng.standard_normal((2, n)),
        b_out=[0.1, -0.2],
        tau_syn=rng.uniform(0.01, 0.08, n),
        tau_mem=np.full(n, 0.01),
        v_th=np.full(n, -0.04),
        v_leak=rng.uniform(-0.042, -0.036, n),
        v_reset=np.full(n, -0.065),
        refractory=np.full(n, 0.002),
        noise_std=1e-3,
        dt=1e-3,
    )


@pytest.fixture
def silent_neurons() -> Callable[..., LIFNetwork]:
    """A function of τ_syn and fields: neurons that do not fire, noise in their i."""
    return _silent_neurons


def _silent_neurons(tau: np.ndarray, **changes: object) -> LIFNetwork:
    n = len(tau)
    fields = {
        "w_in": np.zeros((n, 1)),
        "w_rec": np.zeros((n, n)),
        "w_out": np.zeros((1, n)),
        "b_out": np.zeros(1),
        "tau_syn": tau,
        "tau_mem": np.full(n, 0.01),
        "v_th": np.full(n, -0.04),
        "v_leak": np.full(n, -0.065),
        "v_reset": np.full(n, -0.065),
        "refractory": np.zeros(n),
        "noise_std": 0.0,
        "current_noise_std": 1e-3,
        "dt": 1e-3,
    }
    return LIFNetwork(**fields | changes)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a package with entry points on the path.

    Its arguments are the name and the code of the package's only module, the group of
    the entry points, and what each of them names, "module:object".
    """
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(module: str, code: str, group: str, **entries: str) -> None:
        (tmp_path / f"{module}.py").write_text(code)
        folder = tmp_path / f"{module}-1.0.dist-info"
        folder.mkdir()
        name = module.replace("_", "-")
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n")
        lines = [f"{entry} = {value}" for entry, value in entries.items()]
        (folder / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))
        written.append(module)

    yield write
    for module in written:
        sys.modules.pop(module, None)


@pytest.fixture(params=["cpu", "cuda"])
def device(request) -> str:
    """A device that torch has; tests that take it run on each."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    return request.param
