import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from isotau.convert.chip.philox import membrane_samples
from isotau.targets.onnx_model import integer_step as philox_graph
from isotau.targets.onnx_model.graph import Graph, to_model


def samples(n, noise_exp, *, seed, first_trial, batch, step):
    """What the nodes make, with every input given as the model runs."""
    graph = Graph("noise")
    given = {
        "seed": np.array(seed, np.uint64),
        "first_trial": np.array(first_trial),
        "batch": np.array([batch]),
        "step": np.array(step),
    }
    for name, value in given.items():
        graph.input(name, value.dtype, value.shape)
    counter = philox_graph.counters(graph, "first_trial", "batch", n)
    keys = philox_graph.round_keys(graph, "seed")
    noise = philox_graph.noise_nodes(graph, counter, keys, "step", n, noise_exp)
    graph.output(noise, np.int64, ["batch", n])
    ort = pytest.importorskip("onnxruntime")
    model = to_model(graph, {})
    session = ort.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (got,) = session.run(None, given)
    (again,) = ReferenceEvaluator(model).run(None, given)
    np.testing.assert_array_equal(got, again)
    return got


@pytest.mark.parametrize("n", [1, 7, 8, 9, 40])
@pytest.mark.parametrize(
    ("seed", "step", "first_trial"),
    [
        (0, 0, 0),
        (2**64 - 1, 2**32 - 1, 2**32 - 3),
        (0x299F31D0_082EFA98, 12345, 2**31),
        (1 << 63, 1, 7),
    ],
)
def test_samples_are_those_of_the_engines(n, seed, step, first_trial):
    got = samples(n, 7, seed=seed, first_trial=first_trial, batch=3, step=step)
    trials = first_trial + np.arange(3)
    np.testing.assert_array_equal(got, membrane_samples(seed, step, trials, n))


@pytest.mark.parametrize("noise_exp", range(1, 24))
def test_they_are_scaled_and_floored(noise_exp):
    got = samples(200, noise_exp, seed=5, first_trial=0, batch=2, step=3)
    plain = membrane_samples(5, 3, np.arange(2), 200)
    np.testing.assert_array_equal(got, np.floor(plain * 2.0 ** (noise_exp - 7)))
