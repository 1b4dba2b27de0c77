"""A low-rank file, and what became of it, for all tests of the face."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from isotau import cli
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records.rate import RateRNN
from isotau.convert.to_lif.teacher import CalibrateConfig
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.read_low_rank import LowRankReading, read_low_rank
from isotau.jobs.run_config import RunConfig

N = 48
SIZES = {"trials": 12, "search_trials": 12, "lava_trials": 2, "timescale_trials": 3}


@pytest.fixture
def isotau(monkeypatch, capsys, tmp_path):
    """Return a function that runs a command in `tmp_path`: status, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["isotau", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="session")
def low_rank_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict as the low-rank papers write it: tanh, rank 1, made for `rdm`.

    Its one mode listens to the input and to itself, weakly enough to integrate.
    """
    rng = np.random.default_rng(0)
    m, along = np.sqrt(N) * np.linalg.qr(rng.normal(size=(N, 2)))[0].T[:, :, None]
    state = {
        "m": 2 * m,
        "n": 0.7 * m + 0.5 * along,
        "wi": 2 * along.T,
        "si": np.ones(1),
        "wo": 1.8 * m,
        "so": np.ones(1),
        "h0": np.zeros(N),
    }
    path = tmp_path_factory.mktemp("low-rank") / "net.pt"
    torch.save(
        {k: torch.tensor(v, dtype=torch.float32) for k, v in state.items()}, path
    )
    return path


@pytest.fixture(scope="session")
def carried(low_rank_file: Path) -> Result:
    """That network calibrated, with timescales and without Lava.

    Without noise in the currents: in an integrator it makes runs differ, and few trials
    do not average it.
    """
    quiet = CalibrateConfig(current_noise=0.0)
    config = RunConfig(task="rdm", seed=1, calibration=quiet, **SIZES)
    return carry(read_rate(low_rank_file).net, config, timescales=True)


@pytest.fixture(scope="session")
def scaled(low_rank_file: Path) -> Result:
    """The same network scaled by λ, as the sigmoid one that it is equal to.

    Without noise in the currents, as above.
    """
    quiet = CalibrateConfig(current_noise=0.0)
    config = RunConfig(task="rdm", method="scale", seed=1, calibration=quiet, **SIZES)
    return carry(read_rate(low_rank_file).net, config)


@pytest.fixture(scope="session")
def low_rank_reading(low_rank_file: Path) -> LowRankReading:
    """The low-rank network read at every stage."""
    config = RunConfig(task="rdm", seed=1, **SIZES)
    return read_low_rank(read_rate(low_rank_file).net, config)


@pytest.fixture(scope="session")
def delay_net() -> RateRNN:
    """A tanh network made for `dms-750`: bistable along one mode, τ of 40 to 400 ms.

    It remembers the first stimulus and takes no notice of the second; every unit's own
    noise makes its τ seen.
    """
    rng, n = np.random.default_rng(3), 32
    mode, other = np.sqrt(n) * np.linalg.qr(rng.normal(size=(n, 2)))[0].T
    return RateRNN(
        w_rec=1.6 * np.outer(mode, mode) / n,
        w_in=np.stack([1.5 * mode, 0.1 * other], axis=1),
        w_out=mode[None] / n,
        bias=np.zeros(n),
        b_out=np.zeros(1),
        tau=rng.permutation(np.geomspace(0.04, 0.4, n)),
        activation="tanh",
        noise_std=0.1,
        dt=0.005,
        dale=np.zeros(n),
    )
