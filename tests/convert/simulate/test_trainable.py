"""Names of surrogates and of what may train are those of Norse and of the network."""

import dataclasses

import pytest
import torch
from norse.torch.functional.threshold import threshold

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.trainable import SURROGATES, TRAINABLE, WEIGHTS


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_norse_knows_every_surrogate(surrogate):
    x = torch.tensor([-1.0, 1.0])
    assert threshold(x, surrogate, 1.0).tolist() == [0.0, 1.0]


def test_what_trains_are_fields_of_a_network():
    fields = {field.name for field in dataclasses.fields(LIFNetwork)}
    assert set(WEIGHTS) < set(TRAINABLE) < fields
