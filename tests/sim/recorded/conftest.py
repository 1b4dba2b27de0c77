"""NWB files, as a lab would write them."""

import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

REGIONS = ("hippocampus", "amygdala", "hippocampus")


@pytest.fixture
def spike_trains() -> list[np.ndarray]:
    """Return the spike times of four units in 100 s, the last of which is silent."""
    rng = np.random.default_rng(0)
    return [np.sort(rng.uniform(0, 100, k)) for k in (900, 300, 50, 0)]


@pytest.fixture
def write_nwb(tmp_path: Path, spike_trains: list[np.ndarray]) -> Callable[..., Path]:
    """Return a function that writes a session of ten trials; parts can be left out."""
    pynwb = pytest.importorskip("pynwb", reason="pynwb is an optional library")

    def write(
        *, units: bool = True, trials: bool = True, observed: bool = True
    ) -> Path:
        nwb = pynwb.NWBFile(
            session_description="generated",
            identifier="1",
            session_start_time=datetime.datetime(
                2020, 1, 1, tzinfo=datetime.timezone.utc
            ),
        )
        device = nwb.create_device("probe")
        group = nwb.create_electrode_group(
            "shank", description="one", location="brain", device=device
        )
        for region in REGIONS:
            nwb.add_electrode(location=region, group=group)
        if units:
            nwb.add_unit_column("quality", "by eye")
            nwb.add_unit_column("snr", "signal to noise")
            for k, train in enumerate(spike_trains):
                ends = [[0.0, 45.0], [45.0, 72.0]] if k == 1 else [[0.0, 100.0]]
                nwb.add_unit(
                    id=10 + k,
                    spike_times=train,
                    quality="good" if k % 2 else "multi",
                    snr=float(k),
                    electrodes=[0, 2] if k == 0 else [k % 3, 1],
                    **({"obs_intervals": ends} if observed else {}),
                )
        if trials:
            nwb.add_trial_column("fixation", "when the cross appeared")
            nwb.add_trial_column("correct", "the answer")
            nwb.add_trial_column("hand", "left or right")
            nwb.add_trial_column("licks", "times", index=True)
            for j in range(10):
                nwb.add_trial(
                    start_time=10.0 * j,
                    stop_time=10.0 * j + 5 + 0.1 * j,
                    fixation=np.nan if j == 4 else 10.0 * j + 1 + 0.05 * j,
                    correct=bool(j % 3),
                    hand="left" if j < 5 else "right",
                    licks=[1.0] * j,
                )
        rest = pynwb.epoch.TimeIntervals(name="rest", description="in the dark")
        rest.add_interval(start_time=20.0, stop_time=50.5)
        rest.add_interval(start_time=60.0, stop_time=99.0)
        nwb.add_time_intervals(rest)
        path = tmp_path / "session.nwb"
        with pynwb.NWBHDF5IO(path, "w") as stream:
            stream.write(nwb)
        return path

    return write
