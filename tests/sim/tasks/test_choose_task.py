"""Which task a network may have been trained on."""

import dataclasses

import numpy as np
import pytest

from isotau.sim.tasks.choose_task import choose_task


def test_the_task_is_one_that_fits(rate_net):
    """rate_net has 2 inputs and steps of 5 ms."""
    assert choose_task(rate_net, "xor").name == "xor"
    one = dataclasses.replace(rate_net, w_in=rate_net.w_in[:, :1])
    assert choose_task(one, None).name == "go-nogo"
    finer = dataclasses.replace(one, dt=0.001)
    assert choose_task(finer, None).name == "go-nogo"
    slower = dataclasses.replace(one, dt=0.02)
    assert choose_task(slower, "rdm").name == "rdm"


def test_a_task_that_does_not_fit_is_refused(rate_net):
    one = dataclasses.replace(rate_net, w_in=rate_net.w_in[:, :1])
    slower = dataclasses.replace(one, dt=0.02)
    many = dataclasses.replace(rate_net, w_in=np.zeros((rate_net.n, 9)))
    with pytest.raises(
        ValueError, match=r"task: got none for a network of 2 inputs, 1 output.*dms-750"
    ):
        choose_task(rate_net, None)
    with pytest.raises(ValueError, match=r"task: got none .* 20 ms, .*: rdm, romo;"):
        choose_task(slower, None)
    with pytest.raises(ValueError, match=r"need one of those that fit it: no task"):
        choose_task(many, None)
    with pytest.raises(
        ValueError, match=r"got 2 inputs, 1 output and .*, need 4 inputs, .* for mante;"
    ):
        choose_task(rate_net, "mante")
    with pytest.raises(
        ValueError, match=r"need steps of 5 ms .*--dt-ms.* go-nogo; rdm, romo would"
    ):
        choose_task(slower, "go-nogo")
    with pytest.raises(ValueError, match=r"task: got 'chess', need one of dms-750"):
        choose_task(rate_net, "chess")
