import nir
import numpy as np
import pytest

from isotau.convert.ground.errors import error, info, warning
from isotau.targets.nir_graph.operations import UNKNOWN, CannotImport, operation, refuse


def test_neurons_are_flattened_in_c_order():
    tau = np.arange(1.0, 7).reshape(2, 3)
    node = nir.LIF(tau=tau, r=tau, v_leak=tau, v_threshold=tau, v_reset=0 * tau)
    op, wrong = operation(node, "LIF", "a")
    assert not wrong and (op.n_in, op.n_out) == (6, 6)
    np.testing.assert_array_equal(op.values["tau"], np.arange(1.0, 7))


def test_one_value_does_not_tell_the_width():
    op, _ = operation(nir.Scale(np.ones(1)), "Scale", "a")
    assert (op.n_in, op.n_out) == (UNKNOWN, UNKNOWN)


def test_weights_tell_both_widths_and_have_a_bias():
    op, wrong = operation(nir.Linear(np.ones((2, 3), np.float32)), "Linear", "a")
    assert not wrong and (op.n_in, op.n_out) == (3, 2)
    np.testing.assert_array_equal(op.values["bias"], [0, 0])
    assert op.values["weight"].dtype == np.float64


@pytest.mark.parametrize(
    ("shape", "width"), [([3, 4], 12), ([1], 1), (None, UNKNOWN), ([], UNKNOWN)]
)
def test_inputs_tell_their_width(shape, width):
    given = None if shape is None else np.array(shape, dtype=int)
    op, wrong = operation(nir.Input({"input": given}), "Input", "a")
    assert not wrong and op.n_out == width


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (nir.Linear(np.ones((2, 2, 2))), r"weight: got shape \(2, 2, 2\), need outp"),
        (nir.Linear(np.ones((0, 2))), r"weight: got float64 of shape \(0, 2\), need"),
        (nir.Affine(np.ones((2, 2)), np.ones(3)), "bias: got 3 values, need 2"),
        (nir.Linear(np.ones((2, 2), complex)), "weight: got complex128 of shape"),
        (
            nir.Input(np.array([1 << 12, 1 << 12])),
            r"got shape \[4096, 4096\], need 1 t",
        ),
        (nir.Input(np.array([-3])), r"got shape \[-3\], need 1 to 1048576"),
    ],
)
def test_nodes_that_contradict_themselves(node, message):
    _, wrong = operation(node, type(node).__name__, "a")
    assert len(wrong) == 1 and wrong[0].place == "node a"
    with pytest.raises(ValueError, match=message):
        raise ValueError(wrong[0].message)


def test_parameters_of_unequal_length(cuba):
    node = cuba(3)
    node.r = np.ones(2)
    _, wrong = operation(node, "CubaLIF", "a")
    assert [w.message for w in wrong] == ["r: got 2 values, need 3 or one"]


FOUND = [error("a", "b", "c"), warning("d", "e", "f"), info("g", "h", "i")]


def test_only_errors_are_raised_and_all_findings_kept():
    refuse("x.nir", FOUND[1:])
    with pytest.raises(CannotImport, match=r"^x\.nir: cannot import: a: b; c$") as got:
        refuse("x.nir", FOUND)
    assert got.value.findings == tuple(FOUND) and not got.value.damaged
    with pytest.raises(CannotImport) as got:
        refuse("x.nir", FOUND, damaged=True)
    assert got.value.damaged
