"""Every number of a configuration is checked."""

import json
from pathlib import Path

import pytest

from isotau.convert.ground.settings import describe_settings
from isotau.convert.simulate.trainable import SURROGATES
from isotau.convert.tuning.learner.tune_config import METHODS, TuneConfig
from isotau.convert.tuning.loss.segments import Segments


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"batch": 0}, "batch: got 0"),
        ({"updates": -1}, "updates: got -1"),
        ({"quiet_trials": 1}, "quiet_trials: got 1"),
        ({"learning_rate": 0.0}, "learning_rate: got 0.0"),
        ({"learning_rate": 1e38}, "learning_rate: got 1e.38, need at most 100.0; it"),
        ({"width": -1.0}, "width: got -1.0"),
        ({"damping": float("nan")}, "damping: got nan"),
        ({"clip": 0.0}, "clip: got 0.0"),
        ({"weight_noise": -0.1}, "weight_noise: got -0.1"),
        ({"surrogate": "step"}, "surrogate: got 'step', need one of super"),
        ({"dynamics": "slow"}, "dynamics: got 'slow'"),
        ({"dtype": "float16"}, "dtype: got 'float16'"),
        ({"train": ()}, "train: got nothing, need one or more of w_in"),
        ({"train": ("w_rec", "gain")}, "train: got 'gain'"),
        ({"segments": Segments(truncate=-5)}, "truncate: got -5"),
        ({"seed": -1}, "seed: got -1"),
        ({"stop_accuracy": -0.5}, "stop_accuracy: got -0.5"),
        ({"method": "magic"}, "method: got 'magic', need one of bptt"),
    ],
)
def test_what_is_wrong_is_named(changes, text):
    with pytest.raises(ValueError, match=text):
        TuneConfig(**changes)


def test_description_is_json_and_whole():
    config = TuneConfig(segments=Segments(recompute=100))
    told = json.loads(json.dumps(describe_settings(config)))
    assert told["segments"] == {"truncate": 0, "recompute": 100}
    assert set(told) == set(TuneConfig.__slots__)


def test_the_manual_names_every_method_and_surrogate():
    manual = (Path(__file__).parents[4] / "docs/tuning.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in manual for name in (*METHODS, *SURROGATES))
