"""Traces made by a neuron in plain Python, sound and spoilt in known ways."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.ground.errors import DoesNotFit, UnreadableFile
from isotau.sim.engines import trace
from isotau.sim.engines.trace import (
    NeuronTrace,
    read_trace,
    replay,
    single_neuron,
)

SHIPPED = Path(__file__).resolve().parents[3] / "examples" / "data"
LOIHI = {"du": 4095, "dv": 163, "vth": 25, "weight": 10}
"""The only registers that give what was published of Loihi 2 in the rows below."""
TYPICAL = {"du": 400, "dv": 100, "vth": 300, "weight": 40}


def lif(sent, *, du, dv, vth, weight, bias=0, refractory=0, lag=1):
    """Return v after the reset, v before it, and spikes, in Python's own integers."""
    u = v = rest = 0
    arriving = [0] * lag + list(sent)
    after, before, spikes = [], [], []
    for t in range(len(sent)):
        u = int(math.copysign(abs(u) * (4095 - du) // 4096, u))
        u += int(arriving[t]) * weight * 64
        v = int(math.copysign(abs(v) * (4096 - dv) // 4096, v)) + u + bias
        if rest:
            v, rest = 0, rest - 1
        before.append(v)
        spikes.append(v > 64 * vth)
        if spikes[-1]:
            v, rest = 0, refractory
        after.append(v)
    return np.array(after), np.array(before), np.array(spikes)


def stimulus(rng, steps=600, quiet=10):
    """Return spikes at random, and none in the last rows."""
    sent = (rng.random(steps) < 0.1).astype(int)
    sent[-quiet:] = 0
    return sent


def recorded(seed=0, lag=1, **registers):
    sent = stimulus(np.random.default_rng(seed))
    v, _, spike = lif(sent, **TYPICAL | registers, lag=lag)
    return NeuronTrace(input=sent, v=v, spike=spike)


def published_input():
    """Return the stimulus of a trace of Loihi 2 (doi:10.1038/s41467-024-52259-9)."""
    gaps = [6, 15, 4, 3, 0, 2, 1, 2, 0, 1, *[0] * 10, 13, *[0] * 11, 5, 0, 14]
    tenths = [x for gap in gaps for x in [*[0] * gap, 1]][:100]
    return [x if k == 0 else 0 for x in tenths for k in range(10)]


def published_trace():
    """Return that trace, rebuilt; Loihi 2 gave 128 for v in rows with a spike."""
    v, _, spike = lif(published_input(), **LOIHI)
    return NeuronTrace(input=published_input(), v=np.where(spike, 128, v), spike=spike)


def test_a_sound_trace_agrees():
    sound = recorded()
    found = replay(sound, single_neuron(**TYPICAL))
    assert sound.spike.sum() > 20
    assert found.agrees
    assert found.recorded == found.computed == found.exact == found.near
    assert (found.v_equal, found.v_worst, found.v_rms) == (1.0, 0.0, 0.0)
    assert (found.first_spike, found.first_v, found.lag) == (None, None, 1)
    assert dict(found.lag_errors).keys() == set(range(-2, 5))
    assert found.v_at_spike == "reset"


def test_random_neurons_agree():
    rng = np.random.default_rng(1)
    fired = 0
    for _ in range(60):
        registers = {
            "du": int(rng.integers(0, 4096)),
            "dv": int(rng.integers(0, 4096)),
            "vth": int(rng.integers(0, 400)),
            "weight": int(rng.integers(-255, 256)),
            "refractory": int(rng.integers(0, 5)),
        }
        bias = int(rng.integers(-500, 1000))
        sent = rng.integers(-3, 4, 80)
        v, _, spike = lif(sent, **registers, bias=bias)
        fired += spike.sum()
        given = NeuronTrace(input=sent, v=v, spike=spike)
        neuron = single_neuron(**registers, bias_mant=bias)
        found = replay(given, neuron)
        assert found.agrees and found.lag == 1, registers
    assert fired > 200


def test_exponents_of_weight_and_bias_count():
    sent = stimulus(np.random.default_rng(2))
    v, _, spike = lif(sent, du=400, dv=100, vth=300, weight=40, bias=48)
    neuron = single_neuron(
        du=400, dv=100, vth=300, weight=10, weight_exp=2, bias_mant=6, bias_exp=3
    )
    assert replay(NeuronTrace(input=sent, v=v, spike=spike), neuron).agrees


def test_du_off_by_ten_is_found_and_measured():
    given = recorded()
    wrong, _, spike = lif(given.input, **TYPICAL | {"du": 410})
    found = replay(given, single_neuron(**TYPICAL | {"du": 410}))
    off = np.abs(wrong - given.v)
    assert not found.agrees
    assert found.lag == 1
    assert found.first_v == np.flatnonzero(off)[0]
    assert found.first_spike == np.flatnonzero(spike != given.spike)[0]
    assert found.v_worst == off.max()
    assert found.v_rms == pytest.approx(np.sqrt(np.mean(off**2)))
    assert found.v_equal == pytest.approx(np.mean(off == 0))
    assert (found.recorded, found.computed) == (given.spike.sum(), spike.sum())
    assert found.exact == (given.spike & spike).sum()
    assert found.exact < found.near <= found.recorded


def test_a_dropped_spike_is_found():
    given = recorded()
    dropped = np.flatnonzero(given.spike)[5]
    spike = given.spike.copy()
    spike[dropped] = False
    found = replay(dataclasses.replace(given, spike=spike), single_neuron(**TYPICAL))
    assert found.recorded == found.exact == found.computed - 1
    assert (found.first_spike, found.first_v) == (dropped, None)
    assert not found.agrees


@pytest.mark.parametrize("lag", range(-2, 5))
def test_the_lag_is_found(lag):
    given = recorded()
    shift = lag - 1
    # Nothing was sent in the last rows, so that what follows them is known.
    more, _, fired = lif([*given.input, 0, 0, 0], **TYPICAL)
    v = np.concatenate([[0] * max(shift, 0), more])[max(-shift, 0) :][: len(given.v)]
    spike = np.concatenate([[0] * max(shift, 0), fired])[max(-shift, 0) :]
    moved = NeuronTrace(input=given.input, v=v, spike=spike[: len(v)])
    found = replay(moved, single_neuron(**TYPICAL))
    assert (found.lag, found.agrees) == (lag, True)
    assert (
        dict(found.lag_errors)[lag]
        == 0
        < min(error for other, error in found.lag_errors if other != lag)
    )
    told = replay(moved, single_neuron(**TYPICAL), lag=lag)
    assert told == dataclasses.replace(found, lag_errors=((lag, 0.0),))
    assert not replay(moved, single_neuron(**TYPICAL), lag=lag + 1).agrees


def test_the_lag_is_found_though_du_is_wrong():
    given = recorded(lag=2)
    found = replay(given, single_neuron(**TYPICAL | {"du": 390}))
    assert (found.lag, found.agrees) == (2, False)


@pytest.mark.parametrize(
    ("moved", "near"), [(0, [2, 2, 2]), (1, [1, 2, 2]), (-2, [1, 1, 2])]
)
def test_spikes_are_near_within_the_tolerance(moved, near):
    sent = np.zeros(40, dtype=int)
    sent[[10, 25]] = 1
    registers = {"du": 4095, "dv": 4095, "vth": 1, "weight": 2}
    v, _, spike = lif(sent, **registers)
    spike[11], spike[11 + moved] = False, True
    for tolerance in range(3):
        found = replay(
            NeuronTrace(input=sent, v=v, spike=spike),
            single_neuron(**registers),
            tolerance=tolerance,
        )
        assert (found.recorded, found.computed) == (2, 2)
        assert (found.near, found.tolerance) == (near[tolerance], tolerance)
        assert found.exact == near[0]


def test_each_spike_is_in_one_pair():
    sent = np.zeros(30, dtype=int)
    sent[10] = 1
    registers = {"du": 4095, "dv": 4095, "vth": 1, "weight": 2}
    v, _, spike = lif(sent, **registers)
    spike[[10, 12]] = True
    found = replay(
        NeuronTrace(input=sent, v=v, spike=spike), single_neuron(**registers)
    )
    assert (found.recorded, found.computed, found.near) == (3, 1, 1)


def test_v_may_come_before_the_reset():
    given = recorded()
    _, before, _ = lif(given.input, **TYPICAL)
    found = replay(dataclasses.replace(given, v=before), single_neuron(**TYPICAL))
    assert (found.v_at_spike, found.agrees) == ("unreset", True)


def test_v_may_be_scaled():
    given = recorded()
    volts = dataclasses.replace(given, v=given.v / 3e6)
    assert replay(volts, single_neuron(**TYPICAL), v_scale=3e6).agrees
    found = replay(volts, single_neuron(**TYPICAL))
    assert found.exact == found.recorded == found.computed
    assert found.first_v == np.flatnonzero(given.v)[0]


def test_a_silent_trace_without_v_agrees_with_a_silent_neuron():
    nothing = NeuronTrace(
        input=np.zeros(3, int), v=np.zeros(3), spike=np.zeros(3, bool)
    )
    found = replay(nothing, single_neuron(**TYPICAL))
    assert (found.agrees, found.lag, found.recorded) == (True, 1, 0)


def test_the_published_trace_is_reproduced():
    given = published_trace()
    found = replay(given, single_neuron(**LOIHI))
    assert (found.agrees, found.lag, found.v_at_spike) == (True, 1, "unclear")
    # What the published file has (paper/01_lif/lif_lava_loihi_fixed.csv in NIR).
    np.testing.assert_array_equal(np.flatnonzero(given.spike), [461, 511, 711, 761])
    rows = [61, 62, 63, 270, 310, 320, 350, 370, 400, 410, 430, 440, 450, 460, 461, 510]
    v = [640, 614, 589, 76, 136, 531, 346, 443, 319, 652, 578, 824, 989, 1099, 128]
    np.testing.assert_array_equal(given.v[rows], [*v, 1059])
    assert not replay(given, single_neuron(**LOIHI | {"dv": 164})).agrees


def test_the_shipped_trace_is_the_rebuilt_one():
    shipped = read_trace(SHIPPED / "trace_loihi2.csv")
    for name in ("input", "v", "spike"):
        np.testing.assert_array_equal(
            getattr(shipped, name), getattr(published_trace(), name)
        )


def test_the_description_has_the_numbers():
    given = recorded()
    found = replay(given, single_neuron(**TYPICAL | {"du": 410}), tolerance=3)
    text = trace.describe_replay(found)
    assert "\n" not in text
    for part in (
        f"Spikes: {found.recorded} recorded, {found.computed} computed,",
        f"{found.exact} in the same row, {found.near} within 3;",
        f"first row to differ: {found.first_spike}.",
        f"largest difference {found.v_worst:.0f}",
        f"first row to differ: {found.first_v}.",
        "Lag in rows: 1.",
    ):
        assert part in text, part
    assert "differ: None" in trace.describe_replay(
        replay(given, single_neuron(**TYPICAL))
    )


def test_neurons_and_options_that_do_not_fit():
    given = recorded()
    net = random_network(np.random.default_rng(0), 5, extreme=False)
    with pytest.raises(
        ValueError, match="neuron: got n=5, need what single_neuron mak"
    ):
        replay(given, net)
    noisy = dataclasses.replace(single_neuron(**TYPICAL), noise_exp=3)
    with pytest.raises(ValueError, match="neuron: got n=1, need what single"):
        replay(given, noisy)
    with pytest.raises(ValueError, match=r"v_scale: got -1\.0"):
        replay(given, single_neuron(**TYPICAL), v_scale=-1.0)
    with pytest.raises(DoesNotFit, match="lag: got 601, need -600 to 600"):
        replay(given, single_neuron(**TYPICAL), lag=601)
    with pytest.raises(DoesNotFit, match="weights: got 256"):
        single_neuron(**TYPICAL | {"weight": 256})
    with pytest.raises(DoesNotFit, match="du: got 4096"):
        single_neuron(**TYPICAL | {"du": 4096})


def test_traces_that_are_none():
    zeros = np.zeros(3)
    with pytest.raises(ValueError, match=r"v: got shape \(2,\), need \(3,\)"):
        NeuronTrace(input=zeros, v=zeros[:2], spike=zeros)
    with pytest.raises(DoesNotFit, match=r"spike: got 2.* at \[1\], need 0 to 1"):
        NeuronTrace(input=zeros, v=zeros, spike=np.array([0, 2, 0]))
    with pytest.raises(DoesNotFit, match=r"input: got 2147483648"):
        NeuronTrace(input=np.array([2**31, 0, 0]), v=zeros, spike=zeros)
    with pytest.raises(ValueError, match=r"v: got nan at \[0\]"):
        NeuronTrace(input=zeros, v=zeros * np.nan, spike=zeros)
    with pytest.raises(ValueError, match="input: got shape"):
        NeuronTrace(input=zeros[:0], v=zeros[:0], spike=zeros[:0])
    given = NeuronTrace(input=zeros, v=zeros, spike=zeros)
    assert (given.input.dtype, given.spike.dtype) == (np.int32, np.bool_)
    for name in ("input", "v", "spike"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(given, name)[0] = 1


def test_every_digit_is_read(tmp_path):
    values = [0.1, -1e-300, 1e12, 2 / 3, 0.0, -8388607.0]
    sent = [0, 1, -(2**31), 2**31 - 1, 7, -7]
    rows = zip(sent, map(repr, values), [0, 1] * 3, strict=True)
    path = tmp_path / "trace.csv"
    path.write_text("input,v,spike\n" + "\n".join(f"{a},{b},{c}" for a, b, c in rows))
    trace = read_trace(path)
    assert (trace.input.tolist(), trace.v.tolist()) == (sent, values)
    assert trace.spike.tolist() == [False, True] * 3


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        ("input,v,spike\n1,2.5,0\n0,3,1\n", ()),
        ("spike, Input ,V\r\n0,1,2.5\r\n1,0,3\r\n", ()),
        (
            "\ufeffstep,input,note,v,spike\n0,1,x,2.5,0.0\n\n1,0,,3,1.0",
            ("step", "note"),
        ),
        ("1,2.5,0\n0,3.0,1.0\n", ()),
        ('"input","v","spike"\n"1"," 2.5 ","0"\n0,3e0,1\n', ()),
    ],
    ids=["plain", "order and case", "more columns", "no header", "quoted"],
)
def test_files_that_are_read(tmp_path, text, ignored):
    path = tmp_path / "trace.csv"
    path.write_bytes(text.encode())
    found = read_trace(path)
    np.testing.assert_array_equal(found.input, [1, 0])
    np.testing.assert_array_equal(found.v, [2.5, 3])
    np.testing.assert_array_equal(found.spike, [False, True])
    assert found.ignored == ignored


GOOD = "input,v,spike\n1,2.5,0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 0: got no rows, need one per step"),
        ("input,v,spike\n", "line 1: got no rows"),
        ("time,v\n1,2\n", "line 1: got ['time', 'v'], need ['input', 'v', 'spike']"),
        ("input;v;spike\n", "line 1: got ['input;v;spike'], need ['input', 'v', "),
        ("input,v,spike,v\n", "line 1: got ['input', 'v', 'spike', 'v'], need"),
        ("1,2\n", "line 1: got ['1', '2'], need ['input', 'v', 'spike']"),
        ("in,v,spike\n", "line 1: got ['in', 'v', 'spike'], need ['input'"),
        ("a,b,c\n", "line 1: column input: got 'a', need a whole number from -2147"),
        (GOOD + "1,2\n", "line 3: got 2 columns, need 3"),
        (GOOD + "1,2,0,0\n", "line 3: got 4 columns, need 3"),
        (GOOD + "0.5,2,0\n", "line 3: column input: got '0.5', need a whole number"),
        (GOOD + "2147483648,2,0\n", "line 3: column input: got '2147483648', need"),
        (GOOD + "1,,0\n", "line 3: column v: got '', need a number from -1000"),
        (GOOD + "1,nan,0\n", "line 3: column v: got 'nan', need a number"),
        (GOOD + "1,-inf,0\n", "line 3: column v: got '-inf', need a number"),
        (GOOD + "1,1e300,0\n", "line 3: column v: got '1e300', need a number"),
        (GOOD + "1,2,2\n", "line 3: column spike: got '2', need a whole number from 0"),
        (GOOD + "1,2,yes\n", "line 3: column spike: got 'yes', need"),
        (GOOD + "1,2," + "9" * 99, f"column spike: got '{'9' * 40}', need"),
        (GOOD + "1,2,\0\n", "line 3: "),
        (GOOD + '1,"2,0\n', "line 3: unexpected end of data"),
        (GOOD + "1," + "2" * 200_000 + ",0\n", "line 3: field larger than"),
    ],
)
def test_files_that_are_refused(tmp_path, text, message):
    path = tmp_path / "trace.csv"
    path.write_bytes(text.encode())
    with pytest.raises(UnreadableFile, match=re.escape(message)) as caught:
        read_trace(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < len(str(path)) + 200


def test_files_that_are_none_or_too_large(tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(UnreadableFile, match="need a file of at most 16777216 by"):
            read_trace(path)
    path = tmp_path / "trace.csv"
    path.write_bytes(b"input,v,spike\n\xff\xfe,0,0\n")
    with pytest.raises(UnreadableFile, match="line 2: column input: got '\ufffd\ufffd"):
        read_trace(path)
    path.write_text(GOOD)
    monkeypatch.setattr(trace, "MAX_BYTES", len(GOOD) - 1)
    with pytest.raises(UnreadableFile, match=f"need a file of at most {len(GOOD) - 1}"):
        read_trace(path)
