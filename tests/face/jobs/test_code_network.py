"""The memory code of a network at every stage: what is measured, and what is refused.

The network is made by hand to hold the first stimulus, so that few trials show it.
"""

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.jobs.code_network import CodeConfig, code_network
from isotau.jobs.run_config import RunConfig
from isotau.sim.coding.memory_code import CodingConfig

SMALL = {"trials": 48, "search_trials": 12, "lava_trials": 1}
FEW = CodingConfig(draws=1, splits=2, resamples=20, permutations=20)


@pytest.fixture(scope="module")
def config():
    run = RunConfig(task="dms-750", seed=2, **SMALL)
    return CodeConfig(run=run, quiet_trials=20, coding=FEW)


@pytest.fixture(scope="module")
def measured(config, delay_net):
    return code_network(delay_net, config)


@pytest.mark.slow
def test_every_stage_has_a_code_by_its_own_timescales(measured, config):
    assert list(measured.codes) == list(measured.timescales) == ["rate", "lif", "fixed"]
    for stage, code in measured.codes.items():
        tau = measured.timescales[stage].tau
        edges = np.quantile(tau[np.isfinite(tau)], (0.25, 0.75), method="hazen")
        np.testing.assert_allclose(code.edges, edges)
        assert code.config.delay == pytest.approx((0.45, 1.15))
        assert code.config.train == pytest.approx((0.45, 0.65))
        assert (code.config.draws, code.config.splits) == (1, 2)
        assert code.groups["all"].discriminability.units == measured.timescales[stage].n
        assert {"all", "long", "short"} <= set(code.fano)
        published = measured.as_published[stage]
        assert set(published) == {"all", "long", "short"}
        # Halves of the same trials, odd and even in place of random ones.
        assert published["all"] == pytest.approx(
            code.groups["all"].stability.value, abs=0.1
        )


@pytest.mark.slow
def test_the_remembered_stimulus_is_there_to_the_end(measured):
    for code in measured.codes.values():
        group = code.groups["all"]
        assert group.stability.value > 0.8
        assert group.half_life.accuracy[-1] > 0.9


def with_inputs(net: RateRNN, count: int) -> RateRNN:
    fields = {name: getattr(net, name) for name in net.__dataclass_fields__}
    return RateRNN(**(fields | {"w_in": net.w_in[:, :count]}))


def test_tasks_without_a_delay_to_look_into_are_refused(delay_net):
    def refused(task, net, text):
        with pytest.raises(ValueError, match=text):
            code_network(net, CodeConfig(run=RunConfig(task=task, **SMALL)))

    one = with_inputs(delay_net, 1)
    refused(
        "go-nogo",
        one,
        "task: got go-nogo, which has no delay after a first of two stimuli, need one "
        "that has: xor, dms-750, dms-lowrank",
    )
    refused(
        "xor",
        delay_net,
        "task: got xor with a delay of 50 ms, need more than 320 ms to see a code stay",
    )
    refused("dms-750", one, "network: got 1 input, 1 output and steps of 5 ms, need")


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="quiet_trials: got 2, need 3 to"):
        CodeConfig(quiet_trials=2)
    with pytest.raises(ValueError, match=r"length: got 0\.0, need"):
        CodeConfig(length=0.0)
    with pytest.raises(ValueError, match=r"settle: got -1\.0, need"):
        CodeConfig(settle=-1.0)
