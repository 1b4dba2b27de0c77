"""The main job: a trained rate network to simulated Loihi, its timescales measured."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isotau.convert import storage
from isotau.convert.errors import UnreadableFile
from isotau.convert.fixedpoint import FixedPointNetwork
from isotau.convert.lif_dynamics import simulate_lif
from isotau.convert.progress import Progress, silent
from isotau.convert.quantization_report import (
    QuantizationReport,
    report_quantization,
)
from isotau.convert.quantize import quantize
from isotau.convert.rate import RateRNN
from isotau.convert.rate_to_lif import Conversion, search_lambda
from isotau.convert.read_spikernn import read_spikernn, read_spikernn_variables
from isotau.convert.trials import refine
from isotau.run_config import RunConfig, draw_seeds
from isotau.sim.engines.diagnostics import Diagnostics
from isotau.sim.tasks import TASKS
from isotau.stages import Stage, chip_stages, lif_stage, rate_stage

ZIP = b"PK"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Result:
    """Everything that the main job made; `isotau.report` writes it down."""

    config: RunConfig
    rate: RateRNN
    conversion: Conversion
    fixed: FixedPointNetwork
    quantization: QuantizationReport
    stages: dict[str, Stage]
    lava_mismatches: int
    """Spikes that Lava and the reference engine do not share, of `lava_compared`."""
    lava_compared: int
    """Neuron-steps that were compared."""
    diagnostics: Diagnostics
    """What left its range on the chip in the task's trials."""


def read_network(path: str | os.PathLike[str]) -> RateRNN:
    """Return the rate network in a file: isotau's `.rate.npz` or spikeRNN's `.mat`.

    The content decides, not the name.

    Raises:
        UnreadableFile: neither, or damaged.
    """
    try:
        with open(path, "rb") as stream:
            zipped = stream.read(2) == ZIP
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from None
    return storage.load(path, RateRNN) if zipped else read_spikernn(path)


def describe_input(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a report says of the file that `read_network` read.

    Its name, its SHA-256, and 1/λ as the original code chose it, in Hz, if the file
    says so.
    """
    content = Path(path).read_bytes()
    theirs = None
    if not content.startswith(ZIP):
        found = read_spikernn_variables(path).get("opt_scaling_factor")
        theirs = None if found is None else float(np.ravel(found)[0])
    return {
        "input": Path(path).name,
        "input_sha256": hashlib.sha256(content).hexdigest(),
        "input_inverse_lambda": theirs,
    }


def run_pipeline(
    rate: RateRNN,
    config: RunConfig,
    *,
    progress: Progress = silent,
) -> Result:
    """Convert, quantize and simulate a network, and measure timescales at each stage.

    Every stage sees the same trials. The spiking ones start at rest and pass
    `constants.burn_in` seconds without input before each trial, as does the rate
    network; the noise of all is on.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
        LavaError: Lava failed.
    """
    task = TASKS[config.task]
    if (rate.n_in, rate.n_out) != (task.n_in, task.n_out):
        raise ValueError(
            f"network: got {rate.n_in} inputs and {rate.n_out} outputs, need "
            f"{task.n_in} and {task.n_out} for {task.name}"
        )
    constants = config.constants
    seeds = draw_seeds(config.seed)
    search = task.draw(config.search_trials, np.random.default_rng(seeds.search))
    conversion = search_lambda(
        rate,
        search,
        score=task.score,
        seed=seeds.search_noise,
        constants=constants,
        progress=progress,
    )
    lif = conversion.network
    calibration = simulate_lif(
        lif,
        refine(search, constants.dt).inputs,
        generator=torch.Generator().manual_seed(seeds.calibration),
        burn_in=constants.burn_in_steps,
        progress=progress,
    )
    fixed = quantize(
        lif,
        calibration.ranges,
        input_peak=float(np.abs(search.inputs).max()),
        config=config.quantization,
    )
    test = task.draw(config.trials, np.random.default_rng(seeds.test))
    stages = {
        "rate": rate_stage(rate, conversion, test, task, config, seeds),
        "lif": lif_stage(lif, test, task, config, seeds, progress),
    }
    quality = report_quantization(lif, fixed, calibration.ranges)
    chip = chip_stages(fixed, quality, test, task, config, seeds, progress)
    return Result(
        config=config,
        rate=rate,
        conversion=conversion,
        fixed=fixed,
        quantization=quality,
        stages=stages | {"fixed": chip.fixed, "lava": chip.lava},
        lava_mismatches=chip.mismatches,
        lava_compared=chip.compared,
        diagnostics=chip.diagnostics,
    )
