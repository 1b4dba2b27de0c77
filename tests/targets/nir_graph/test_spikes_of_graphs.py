import nir
import numpy as np
import pytest

from isotau.convert.ground.errors import Severity
from isotau.targets.nir_graph.from_nir import from_nir


def nested(make, n, n_in, *, discrete, synapse, bias):
    w_rec = make.affine(n, n, 0.5) if bias else make.linear(n, n, 0.5)
    inner = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([n])),
            "lif": make.neurons(n, discrete=discrete, synapse=synapse),
            "w_rec": w_rec,
            "output": nir.Output(np.array([n])),
        },
        edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    return {"fc": make.affine(n, n_in, 4.0), "layer": inner}


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_spike_as_the_equations_say(
    seed, make, chain, looped, brute, run
):
    m = make(seed)
    layers = 1 + seed % 3
    discrete, start = bool(seed % 2), ("reset", "leak")[seed // 8 % 2]
    nodes, names, width = {}, [], 3
    for k in range(layers):
        n = int(m.rng.integers(3, 9))
        nodes[f"fc{k}"] = (m.affine if seed // 2 % 2 else m.linear)(n, width, 3.0)
        if k == 1:
            nodes["scale"] = nir.Scale(m.draw(0.5, 2, n))
        nodes[f"lif{k}"] = m.neurons(n, discrete=discrete, synapse=bool((seed + k) % 3))
        names.append(f"lif{k}")
        width = n
    if seed // 4 % 2:
        n = 2
        nodes["fc_out"] = m.affine(n, width)
        nodes["li"] = nir.LI(
            tau=np.full(n, 0.02), r=m.draw(1, 2, n), v_leak=m.draw(-1, 1, n)
        )
        nodes["after"] = m.linear(3, n)
    graph = chain(**nodes)
    for name in names:
        n = len(graph.nodes[name].v_leak)
        graph = looped(graph, name, (m.affine if seed % 5 else m.linear)(n, n, 0.7))
    x = m.inputs(300, 3)
    want = brute(graph, x, m.dt, start=start)
    read = from_nir(graph, dt=m.dt, start=start)
    got = run(read, x)
    assert sum(z.sum() for z in want.spikes.values()) > 20
    assert not [f for f in read.findings if f.severity is Severity.WARNING]
    assert got.spikes.keys() == want.spikes.keys()
    for name, z in want.spikes.items():
        np.testing.assert_array_equal(got.spikes[name], z)
    assert [p.lag for p in read.populations] == list(range(layers))
    steady = 0 if "li" not in nodes else 250  # LI starts at rest with its bias here
    np.testing.assert_allclose(
        got.outputs[steady:], want.outputs[steady:], rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("seed", range(8))
def test_nested_graphs_spike_as_the_equations_say(seed, make, chain, brute, run):
    m = make(seed)
    discrete, bias = bool(seed % 2), bool(seed // 2 % 2)
    first = nested(m, 6, 3, discrete=discrete, synapse=bool(seed // 4), bias=bias)
    second = nested(m, 4, 6, discrete=discrete, synapse=True, bias=not bias)
    graph = chain(**first, **{k + "2": n for k, n in second.items()})
    deep = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([3])),
            "all": graph,
            "output": nir.Output(np.array([4])),
        },
        edges=[("input", "all"), ("all", "output")],
    )
    x = m.inputs(300, 3)
    want = brute(deep, x, m.dt)
    read = from_nir(deep, dt=m.dt)
    assert [(p.name, p.lag) for p in read.populations] == [
        ("all/layer/lif", 0),
        ("all/layer2/lif", 1),
    ]
    got = run(read, x)
    assert min(z.sum() for z in want.spikes.values()) > 0
    for name, z in want.spikes.items():
        np.testing.assert_array_equal(got.spikes[name], z)
    np.testing.assert_allclose(got.outputs, want.outputs, atol=1e-12)


def test_a_file_says_what_its_graph_says(tmp_path, make, chain, looped, same):
    m = make(1)
    nodes = nested(m, 6, 3, discrete=True, synapse=True, bias=True)
    graph = looped(
        chain(**nodes, lif=m.neurons(6, discrete=True, synapse=False)),
        "lif",
        m.linear(6, 6),
    )
    nir.write(tmp_path / "graph.nir", graph)
    read = from_nir(tmp_path / "graph.nir")
    same(read.net, from_nir(graph).net)
    assert read.net.dt == 1e-3


def test_a_neuron_without_weights_on_its_loop(brute, run, cuba, chain):
    graph = chain(fc=nir.Linear(np.array([[0.3], [0.5]])), lif=cuba(2))
    graph.edges.append(("lif", "lif"))
    x = np.ones((60, 1))
    read = from_nir(graph, dt=1e-3)
    want = brute(graph, x, 1e-3)
    assert want.spikes["lif"].any()
    np.testing.assert_array_equal(run(read, x).spikes["lif"], want.spikes["lif"])
    np.testing.assert_array_equal(read.net.w_rec, np.eye(2))


def test_one_value_for_all_neurons_is_repeated(chain, cuba):
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([2])),
            "fc": nir.Linear(np.ones((3, 2))),
            "lif": cuba(1),
            "output": nir.Output(np.array([3])),
        },
        edges=[("input", "fc"), ("fc", "lif"), ("lif", "output")],
        **({"type_check": False} if "1.0.4" not in nir.version else {}),
    )
    read = from_nir(graph, dt=1e-3)
    assert read.net.n == 3 and read.net.n_out == 3
    assert "got one value for all of its 3 neurons" in str(read.findings)


def snntorch(alpha, beta, w, w_rec, bias, threshold, x):
    """Step RSynaptic with reset_mechanism="zero" as snnTorch 1.0.0 documents it."""
    n = len(w)
    syn, mem, spk, rows = np.zeros(n), np.zeros(n), np.zeros(n), []
    for now in x:
        reset = (mem > threshold).astype(float)
        syn = alpha * syn + w @ now + w_rec @ spk + bias
        mem = (beta * mem + syn) * (1 - reset)
        spk = (mem > threshold).astype(float)
        rows.append(spk)
    return np.array(rows) > 0


def test_snntorch_resets_in_the_step_after_the_spike(make, chain, looped, run):
    m, n, dt = make(3), 8, 1e-4
    alpha, beta = m.draw(0.3, 0.8, n), m.draw(0.5, 0.9, n)
    fc, rec = m.linear(n, 3), m.affine(n, n, 0.5)
    lif = nir.CubaLIF(
        tau_syn=dt / (1 - alpha),
        tau_mem=dt / (1 - beta),
        r=1 / (1 - beta),
        w_in=1 / (1 - alpha),
        v_leak=np.zeros(n),
        v_threshold=np.ones(n),
        v_reset=np.zeros(n),
    )
    graph = looped(chain(fc=fc, lif=lif), "lif", rec)
    x = m.inputs(400, 3)
    want = snntorch(alpha, beta, fc.weight, rec.weight, rec.bias, 1.0, x)
    read = from_nir(graph, refractory_steps=1)
    assert read.net.dt == dt and want.sum() > 100
    np.testing.assert_array_equal(run(read, x).spikes["lif"], want)
    plain = from_nir(graph)
    assert (run(plain, x).spikes["lif"] != want).any()


def test_refractory_steps_hold_a_neuron(cuba, chain, brute, run):
    graph = chain(fc=nir.Linear(np.array([[1.0]])), lif=cuba(v_leak=0.5))
    x = np.ones((80, 1))
    read = from_nir(graph, dt=1e-3, refractory_steps=3)
    want = brute(graph, x, 1e-3, hold=3).spikes["lif"]
    assert want.any()
    np.testing.assert_array_equal(run(read, x).spikes["lif"], want)
