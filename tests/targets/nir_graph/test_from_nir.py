from importlib.util import find_spec
from pathlib import Path

import nir
import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.storage import same as same_record
from isotau.targets.nir_graph.from_nir import from_nir
from isotau.targets.nir_graph.graph import CannotImport
from isotau.targets.nir_graph.to_nir import to_nir


def test_subtractive_reset_is_refused_by_name(cuba, chain):
    graph = chain(lif=cuba(2))
    with pytest.raises(
        CannotImport, match="reset: got 'subtract', need a reset to v_r"
    ):
        from_nir(graph, reset="subtract")
    graph.metadata = {"reset": "soft"}
    with pytest.raises(
        CannotImport, match="reset: got 'soft', need a reset to v_reset"
    ):
        from_nir(graph)
    assert from_nir(graph, reset="zero").net.n == 2


def test_all_unsupported_nodes_are_named_together(chain, cuba, tmp_path):
    graph = chain(
        lif=cuba(2),
        one=nir.IF(r=np.ones(2), v_threshold=np.ones(2)),
        two=nir.Threshold(threshold=np.ones(2)),
        three=nir.Delay(delay=np.ones(2)),
    )
    message = (
        r"node one: got type IF.* \| node two: got type Thres.* \| node three: got"
    )
    with pytest.raises(CannotImport, match=message):
        from_nir(graph)
    nir.write(tmp_path / "a.nir", graph)
    message = "a.nir: cannot import: node one: got type IF.*three: got type Delay.*two"
    with pytest.raises(CannotImport, match=message):
        from_nir(tmp_path / "a.nir")


@pytest.mark.parametrize("node", [nir.I(r=np.ones(2)), nir.CubaLI(*np.ones((5, 2)))])
def test_other_neurons_are_refused(node, chain, cuba):
    with pytest.raises(CannotImport, match=f"node x: got type {type(node).__name__}"):
        from_nir(chain(lif=cuba(2), x=node))


def test_a_convolutional_graph_is_refused_with_its_nodes(tmp_path):
    conv = nir.Conv2d(
        input_shape=(4, 4),
        weight=np.ones((2, 1, 3, 3)),
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=np.zeros(2),
    )
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([1, 4, 4])),
            "conv": conv,
            "pool": pool,
            "flat": nir.Flatten({"input": np.array([2, 1, 1])}, 0, -1),
            "output": nir.Output(np.array([2])),
        },
        edges=[
            ("input", "conv"),
            ("conv", "pool"),
            ("pool", "flat"),
            ("flat", "output"),
        ],
    )
    nir.write(tmp_path / "conv.nir", graph)
    with pytest.raises(
        CannotImport, match=r"conv: got type Conv2d.*pool: got type Sum"
    ):
        from_nir(tmp_path / "conv.nir")


def test_edges_without_end_name_file_and_node(tmp_path, chain, cuba):
    graph = chain(lif=cuba(2))
    graph.edges.append(("lif", "gone"))
    message = "edge lif → gone: got no node gone, need both ends"
    with pytest.raises(CannotImport, match=message):
        from_nir(graph)
    nir.write(tmp_path / "d.nir", graph)
    with pytest.raises(UnreadableFile, match=f"d.nir: {message}"):
        from_nir(tmp_path / "d.nir")


def test_shapes_that_fail_nirs_type_check_name_file_and_node(tmp_path, chain, cuba):
    graph = chain(fc=nir.Linear(np.ones((3, 2))), lif=cuba(3))
    graph.nodes["fc"] = nir.Linear(np.ones((4, 2)))
    nir.write(tmp_path / "s.nir", graph)
    message = "s.nir: edge fc → lif: got 4 values, need 3"
    with pytest.raises(UnreadableFile, match=message):
        from_nir(tmp_path / "s.nir")


def test_metadata_of_others_is_used(chain, cuba):
    graph = chain(lif=cuba(2))
    graph.metadata = {
        "dt": 5e-4,
        "scheme": "exact",
        "reset": "zero",
        "refractory": 1e-3,
        "noise_std": 0.25,
        "v0": np.array([0.25, 0.5]),
        "author": "someone",
    }
    read = from_nir(graph)
    net = read.net
    assert (net.dt, net.noise_std.tolist()) == (5e-4, [0.25, 0.25])
    np.testing.assert_array_equal(net.refractory, [1e-3, 1e-3])
    np.testing.assert_array_equal(net.v0, [0.25, 0.5])
    np.testing.assert_allclose(net.tau_mem, 0.01)
    assert "got author, for which NIR has no meaning" in str(read.findings)
    assert from_nir(graph, start="zero").net.v0[1] == 0


def test_noise_of_each_neuron_is_taken(chain, cuba):
    graph = chain(lif=cuba(2))
    noise = {"noise_std": np.array([0.1, 0.2]), "current_noise_std": 0.3}
    graph.metadata = noise | {"i0": np.zeros(3)}
    read = from_nir(graph)
    assert read.net.noise_std.tolist() == [0.1, 0.2]
    assert read.net.current_noise_std.tolist() == [0.3, 0.3]
    assert "i0: got shape (3,), need (2,)" in str(read.findings)


def test_damaged_metadata_names_the_file(tmp_path, chain, cuba):
    graph = chain(lif=cuba(2))
    for key, value in {"dt": -1.0, "refractory": "long", "scheme": "rk4"}.items():
        graph.metadata = {key: value}
        nir.write(tmp_path / "m.nir", graph)
        with pytest.raises(UnreadableFile, match=r"m\.nir: "):
            from_nir(tmp_path / "m.nir")


def test_arguments_are_checked(chain, cuba):
    graph = chain(lif=cuba(2))
    for wrong in (
        {"dt": 0.0},
        {"time_unit": "h"},
        {"scheme": "rk4"},
        {"reset": "soft"},
        {"refractory_steps": -1},
        {"start": "random"},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: got"):
            from_nir(graph, **wrong)


def test_a_file_without_v_reset_is_reported(tmp_path, chain, cuba):
    import h5py

    nir.write(tmp_path / "old.nir", chain(lif=cuba(2)))
    with h5py.File(tmp_path / "old.nir", "a") as file:
        del file["node/nodes/lif/v_reset"]
    read = from_nir(tmp_path / "old.nir")
    assert "node lif" in {f.place for f in read.findings}
    assert "stores no v_reset" in str(read.findings)
    np.testing.assert_array_equal(read.net.v_reset, [0, 0])


@pytest.fixture
def ours(make):
    """A network with all that a record can hold."""
    m, n = make(7), 5
    return LIFNetwork(
        w_in=m.weights(n, 2),
        w_rec=m.weights(n, n),
        w_out=m.weights(3, n),
        b_out=m.draw(-1, 1, 3),
        tau_syn=m.draw(0.005, 0.05, n),
        tau_mem=m.draw(0.005, 0.03, n),
        tau_out=m.draw(0.02, 0.05, n),
        v_th=m.draw(0.5, 1, n),
        v_leak=m.draw(-0.1, 0.3, n),
        v_reset=m.draw(-0.4, 0, n),
        refractory=0.001 * np.arange(n),
        noise_std=0.1,
        dt=1e-3,
        i0=m.draw(-1, 1, n),
        v0=m.draw(-0.1, 0.3, n),
        f0=m.draw(0, 9, n),
        population=np.array([0, 1, 1, 0, 2]),
    )


@pytest.mark.parametrize("scheme", ["euler", "exact"])
@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_our_own_files_give_the_record_back(tmp_path, ours, scheme, layout):
    nir.write(tmp_path / "o.nir", to_nir(ours, scheme=scheme, layout=layout))
    read = from_nir(tmp_path / "o.nir")
    assert same_record(read.net, ours)
    assert [f.place for f in read.findings] == ["metadata"]


def test_our_own_files_edited_are_read_from_their_nodes(ours):
    graph = to_nir(ours)
    graph.nodes["w_in"].weight = 2 * graph.nodes["w_in"].weight
    read = from_nir(graph)
    np.testing.assert_allclose(read.net.w_in, 2 * ours.w_in)
    np.testing.assert_allclose(read.net.refractory, ours.refractory)
    np.testing.assert_allclose(read.net.v0, ours.v0 - ours.v_reset, atol=1e-12)
    np.testing.assert_allclose(read.net.i0, ours.i0)
    np.testing.assert_allclose(read.net.f0, ours.f0)
    np.testing.assert_allclose(read.net.tau_out, ours.tau_out)
    assert "not those of the network that isotau wrote" in str(read.findings)
    assert from_nir(graph, refractory_steps=2).net.refractory[0] == 2e-3


def test_arguments_at_odds_with_our_metadata_win(ours):
    read = from_nir(to_nir(ours), dt=5e-4, refractory_steps=0)
    assert read.net.dt == 5e-4 and not read.net.refractory.any()


def test_the_nir_papers_recurrent_network():
    spec = find_spec("norse")
    path = Path(spec.origin).parent / "torch/utils/test/braille.nir"
    if not path.is_file():
        pytest.skip("this Norse has no braille.nir among its tests")
    read = from_nir(path)
    assert [(p.name, len(p.indices), p.lag) for p in read.populations] == [
        ("lif1.lif", 38, 0),
        ("lif2", 7, 1),
    ]
    assert (read.net.dt, read.net.n_in, read.net.n_out) == (1e-4, 12, 7)


def test_a_file_of_snntorch_is_told_from_others(chain):
    """Its step is always 0.1 ms, and nothing in it says how it resets."""

    def warned(step, **asked):
        tau, one = np.full(3, 0.01), np.ones(3)
        lif = nir.CubaLIF(
            tau_syn=tau,
            tau_mem=tau,
            r=tau / step,
            w_in=tau / step,
            v_leak=0 * one,
            v_threshold=one,
            v_reset=0 * one,
        )
        found = from_nir(chain(lif=lif), **asked).findings
        return [f for f in found if f.place == "reset" and "snnTorch" in f.message]

    (finding,) = warned(1e-4)
    assert "refractory_steps=1" in finding.action
    assert not warned(1e-3)
    assert not warned(1e-4, refractory_steps=0)
    assert not warned(1e-4, dt=1e-4)
