"""Quantization: registers against closed forms, and what cannot be held."""

import dataclasses
import json

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode, effective_bias
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.records import storage
from isotau.convert.records.lif import Ranges
from isotau.convert.records.spikes import mean_rate, unpack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.dequantize import dequantize
from isotau.convert.to_fixed.quantization_report import (
    noise_of,
    report_quantization,
)
from isotau.convert.to_fixed.quantize import (
    NOISE_SD,
    QuantizeConfig,
    messages,
    quantize,
)
from isotau.sim.engines import reference


def ranges_of(net, i_peak=0.01, v_low=0.005):
    every = np.ones(net.n)
    return Ranges(
        i_peak=i_peak * every, i_rms=0.3 * i_peak * every, v_low=v_low * every
    )


@pytest.fixture
def fixed(lif_net):
    return quantize(lif_net, ranges_of(lif_net), input_peak=3.0)


def test_decays_are_the_nearest_registers(lif_net, fixed):
    exact_u = 4096 * (1 - np.exp(-1e-3 / lif_net.tau_syn))
    assert np.abs(fixed.du + 1 - exact_u).max() <= 0.5
    assert (fixed.dv == round(4096 * (1 - np.exp(-0.1)))).all()


def test_noise_has_the_wanted_deviation_exactly(lif_net, fixed):
    """S·σ of a step is the deviation of −127 … 127 times 2^(exp − 7)."""
    per_step = 1e-3 * np.sqrt(1 - np.exp(-2 * 1e-3 / 0.01))
    (exponent,) = np.unique(fixed.noise_exp)
    samples = np.arange(-127, 128) * 2.0 ** (int(exponent) - 7)
    assert samples.std() / fixed.state_scale == pytest.approx(per_step, rel=1e-12)


def test_noise_of_the_current_is_kept_at_rest(lif_net):
    """The register's own decay makes the wanted deviation of u, to the last digit."""
    net = dataclasses.replace(lif_net, noise_std=0.0, current_noise_std=2e-3)
    net = dataclasses.replace(net, tau_syn=np.full(net.n, 0.03))
    made = quantize(net, ranges_of(net), input_peak=1.0)
    assert not made.noise_exp.any()
    samples = np.arange(-127, 128) * 2.0 ** (made.current_noise_exp[:, None] - 7.0)
    keep = (4095 - made.du.astype(float)) / 4096
    at_rest = samples.std(axis=1) / np.sqrt(1 - keep**2) / made.u_per_volt
    np.testing.assert_allclose(at_rest, 2e-3, rtol=1e-12)


@pytest.mark.parametrize(
    ("membrane", "current"), [(1e-3, 0.27e-3), (0.3e-3, 1.1e-3)], ids=["v", "i"]
)
def test_the_greater_noise_is_met_exactly(lif_net, membrane, current):
    """Of membrane and current; the other one to half an octave."""
    net = dataclasses.replace(
        lif_net, noise_std=membrane, current_noise_std=np.full(lif_net.n, current)
    )
    net = dataclasses.replace(net, tau_syn=np.full(net.n, 0.03))
    made = quantize(net, ranges_of(net), input_peak=1.0)
    kept = [
        after / before
        for before, after in zip((membrane, current), noise_of(made), strict=True)
    ]
    exact, near = kept if membrane > current else kept[::-1]
    # τ_mem and τ_syn of the registers are what is left of errors.
    np.testing.assert_allclose(exact, 1, rtol=0.01)
    assert (np.abs(np.log2(near)) < 0.52).all() and (np.abs(near - 1) > 0.02).all()


def test_noises_that_differ_have_the_nearest_exponents(lif_net):
    """A third as much is nearer to a quarter than to a half, in ratios."""
    sizes = np.array([1, 1.1, 0.9, 0.3, 0.0])[np.arange(lif_net.n) % 5]
    net = dataclasses.replace(
        lif_net,
        noise_std=1e-3 * (np.arange(lif_net.n) > 2),
        current_noise_std=2e-3 * sizes,
        tau_syn=np.full(lif_net.n, 0.03),
    )
    made = quantize(net, ranges_of(net), input_peak=1.0)
    exponents = made.current_noise_exp.astype(int)
    top = exponents.max()
    assert exponents.reshape(-1, 5).tolist() == [[top, top, top, top - 2, 0]] * 4
    # The membrane's has to take what the current's, the greater one, leaves it.
    per_step = made.state_scale * net.noise_per_step / NOISE_SD
    off = np.log2(per_step[3:]) + 7 - made.noise_exp[3:].astype(float)
    assert np.abs(off).max() <= 0.5 and not made.noise_exp[:3].any()


def test_noise_beyond_every_exponent_is_refused(lif_net):
    quiet = dataclasses.replace(
        lif_net, noise_std=0.0, current_noise_std=_with(20, 3, 1e-9, 1e-3)
    )
    text = r"current_noise_std: got noise of .* integers a step at \[3\], need 1.15 to"
    with pytest.raises(DoesNotFit, match=text):
        quantize(quiet, ranges_of(quiet), input_peak=1.0)


def test_scale_is_the_largest_that_fits(lif_net):
    """Doubling the noise-free scale breaks one of the four limits, halving none."""
    quiet = dataclasses.replace(lif_net, noise_std=0.0)
    cases = {
        "u": (ranges_of(lif_net, i_peak=0.5), 1.0),
        "v": (ranges_of(lif_net, v_low=0.3), 1.0),
        "vth": (ranges_of(lif_net), 0.0),
        "bias": (ranges_of(lif_net), 1.0),
    }
    a_mem = round(4096 * (1 - np.exp(-0.1))) / 4096
    for name, (ranges, leak) in cases.items():
        v_leak = -0.065 + leak * (quiet.v_leak + 0.065)
        net = dataclasses.replace(quiet, v_leak=v_leak)
        made = quantize(net, ranges, input_peak=1.0, config=QuantizeConfig(headroom=2))
        (scale,) = np.unique(made.state_scale)
        use = {
            "u": 2 * scale * a_mem * ranges.i_peak.max() / 2**23,
            "v": 2 * scale * ranges.v_low.max() / 2**23,
            "vth": scale * 0.025 / 64 / 131071,
            "bias": scale * a_mem * (v_leak + 0.065).max() / (0.9 * 4095 * 2**7),
        }
        assert use[name] == pytest.approx(1.0, rel=1e-6), use
        assert max(use.values()) <= 1 + 1e-6


def test_with_noise_the_scale_is_within_a_factor_of_two(lif_net, fixed):
    free = quantize(
        dataclasses.replace(lif_net, noise_std=0.0), ranges_of(lif_net), input_peak=3.0
    )
    ratio = fixed.state_scale / free.state_scale
    assert (0.5 < ratio).all() and (ratio <= 1).all()


def test_weights_come_back_within_half_a_step(lif_net, fixed):
    a_mem, fraction = fixed.dv / 4096, (fixed.du + 1.0) / 4096
    gain = fraction / (1 - np.exp(-1e-3 / lif_net.tau_syn))
    per_volt = (fixed.state_scale * a_mem * gain / 64)[:, None]
    back, half = np.zeros((20, 20)), 0.0
    for block in fixed.blocks:
        if block.source == "recurrent":
            back[:, block.pre] += block.weights * 2.0**block.weight_exp
            half = max(half, 0.5 * 2.0**block.weight_exp)
            assert np.abs(block.weights).max() > 127, "an exponent is too large"
    assert np.abs(back - lif_net.w_rec * per_volt).max() <= half * (1 + 1e-9)


def test_presynaptic_signs_have_blocks_of_their_own(fixed):
    blocks = {(b.source, b.sign_mode): b for b in fixed.blocks}
    assert len(blocks) == len(fixed.blocks) == 4
    excitatory = blocks["recurrent", SignMode.EXCITATORY]
    inhibitory = blocks["recurrent", SignMode.INHIBITORY]
    assert excitatory.pre.tolist() == list(range(15))
    assert inhibitory.pre.tolist() == list(range(15, 20))


def test_mixed_columns_are_split_without_loss(lif_net):
    rng = np.random.default_rng(1)
    mixed = dataclasses.replace(lif_net, w_rec=1e-3 * rng.standard_normal((20, 20)))
    made = quantize(mixed, ranges_of(mixed), input_peak=1.0)
    back = sum(np.sign(b.weights) for b in made.blocks if b.source == "recurrent")
    agree = np.sign(mixed.w_rec) == back
    assert agree.mean() > 0.98  # the rest rounds to zero
    assert all(b.num_weight_bits == 8 for b in made.blocks)


def test_biases_fit_their_registers(lif_net, fixed):
    a_mem = fixed.dv / 4096
    wanted = fixed.state_scale * a_mem * (lif_net.v_leak - lif_net.v_reset)
    have = effective_bias(fixed.bias_mant, fixed.bias_exp)
    assert np.abs(have - wanted).max() <= 0.5 * 2.0 ** fixed.bias_exp.max()
    small = np.abs(fixed.bias_mant.astype(int)) <= 2047
    assert not (small & (fixed.bias_exp > 0)).any(), "an exponent is too large"


def test_zero_weights_make_no_block(lif_net):
    alone = dataclasses.replace(lif_net, w_rec=np.zeros((20, 20)))
    made = quantize(alone, ranges_of(alone), input_peak=1.0)
    assert {block.source for block in made.blocks} == {"input"}


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_fewer_bits_use_the_coarser_grid(lif_net, bits):
    config = QuantizeConfig(num_weight_bits=bits)
    made = quantize(lif_net, ranges_of(lif_net), input_peak=1.0, config=config)
    for block in made.blocks:
        assert (block.weights % (1 << (8 - bits)) == 0).all()
        assert block.weights.any()


def test_messages_are_rounded_inputs(fixed):
    inputs = np.array([[[0.0, 1.0]], [[-1.0, 2.9]]])
    sent = messages(fixed, inputs)
    np.testing.assert_array_equal(sent, np.rint(inputs * fixed.input_scale))
    assert np.abs(sent).max() <= 127
    with pytest.raises(DoesNotFit, match=r"inputs · input_scale: got .* larger input"):
        messages(fixed, np.full((1, 1, 2), 1e12))


def test_the_quantized_network_spikes_like_the_float_one(lif_net):
    """Without noise most spikes of a short, input-driven run fall in the same step."""
    net = dataclasses.replace(
        lif_net, noise_std=0.0, w_rec=0.3 * lif_net.w_rec, tau_syn=np.full(20, 0.01)
    )
    rng = np.random.default_rng(3)
    held = np.repeat(rng.uniform(-3, 3, (30, 2, 2)), 10, axis=0)
    run = simulate_lif(net, held, seed=None)
    made = quantize(net, run.ranges, input_peak=3.0)
    chip = reference.run(made, messages(made, held))
    assert mean_rate(chip.spikes) == pytest.approx(mean_rate(run.spikes), rel=0.02)
    # the chip's input arrives one step later
    ours, theirs = (unpack(run.spikes.bits, 20) for run in (run, chip))
    assert (ours[:-1] & theirs[1:]).sum() > 0.6 * ours.sum()


def test_the_run_is_within_the_limits(lif_net):
    inputs = np.random.default_rng(4).standard_normal((300, 5, 2))
    run = simulate_lif(lif_net, inputs, seed=0)
    made = quantize(lif_net, run.ranges, input_peak=5.0)
    chip = reference.run(made, messages(made, inputs), record=("u", "v"), seed=1)
    assert np.abs(chip.u.astype(np.int64)).max() < 2**23 / 1.5


def started(net):
    """The network with a start of its own, as a calibrated one has."""
    rng = np.random.default_rng(8)
    return dataclasses.replace(
        net,
        i0=0.004 * rng.standard_normal(net.n),
        v0=rng.uniform(-0.07, -0.041, net.n),
        f0=rng.uniform(0, 60, net.n),
    )


def test_a_rested_network_powers_up_at_zero(fixed):
    assert not fixed.u0.any() and not fixed.v0.any() and not fixed.f0.any()


def test_the_first_step_from_a_start_is_the_float_networks(lif_net):
    """u and v of one step without input, in volts; f0 needs no conversion."""
    net = started(dataclasses.replace(lif_net, noise_std=0.0))
    made = quantize(net, ranges_of(net), input_peak=1.0)
    chip = reference.run(made, np.zeros((1, 1, 2), dtype=np.int64), record=("u", "v"))
    a = 1 - np.exp(-0.1)
    i = net.i0
    v = net.v0 + a * (net.v_leak - net.v0 + i)
    awake = v <= net.v_th
    assert awake.sum() > 15
    volts = chip.v[0, 0] / made.state_scale + net.v_reset
    # dv is rounded to 1/4096: 0.1 % of 25 mV
    np.testing.assert_allclose(volts[awake], v[awake], atol=3e-5)
    current = chip.u[0, 0] / made.state_scale / (made.dv / 4096)
    np.testing.assert_allclose(current, i, rtol=0.01, atol=2e-6)
    np.testing.assert_array_equal(made.f0, net.f0)


def test_spikes_from_a_start_are_the_float_networks(lif_net):
    """Alone and without noise, the first spikes fall in the same steps."""
    net = started(dataclasses.replace(lif_net, noise_std=0.0, w_rec=np.zeros((20, 20))))
    nothing = np.zeros((40, 1, 2))
    run = simulate_lif(net, nothing, seed=None)
    made = quantize(net, run.ranges, input_peak=1.0)
    chip = reference.run(made, nothing.astype(np.int64))
    ours, theirs = (unpack(s.bits, 20)[:, 0] for s in (run.spikes, chip.spikes))
    fires = ours.any(axis=0)
    assert fires.sum() > 5
    assert (ours.argmax(axis=0) == theirs.argmax(axis=0))[fires].mean() > 0.9


def test_a_start_beyond_the_chip_is_named(lif_net):
    quiet = dataclasses.replace(lif_net, noise_std=0.0)
    chosen = quantize(quiet, ranges_of(quiet), input_peak=1.0).state_scale[0]
    config = QuantizeConfig(state_scale=chosen)
    far = dataclasses.replace(quiet, i0=_with(20, 4, 9.0, 0.0))
    with pytest.raises(DoesNotFit, match=r"u0: got .* at \[4\], need .* lower state_s"):
        quantize(far, ranges_of(far), input_peak=1.0, config=config)
    deep = dataclasses.replace(quiet, v0=_with(20, 2, -9.0, -0.05))
    with pytest.raises(DoesNotFit, match=r"v0: got .* at \[2\], need"):
        quantize(deep, ranges_of(deep), input_peak=1.0, config=config)
    for net, name in ((far, "u0"), (deep, "v0")):
        made = quantize(net, ranges_of(net), input_peak=1.0)
        assert np.abs(getattr(made, name)).max() == 2**23 - 1


def test_what_cannot_be_held_is_named(lif_net):
    ranges = ranges_of(lif_net)

    def attempt(match, config=None, **change):
        with pytest.raises(DoesNotFit, match=match):
            quantize(
                dataclasses.replace(lif_net, **change),
                ranges,
                input_peak=1.0,
                config=config or QuantizeConfig(),
            )

    attempt(r"tau_syn: got 9.0 s at \[3\], need less", tau_syn=_with(20, 3, 9.0))
    attempt(r"tau_mem: got 9.0 s at \[0\]", tau_mem=np.full(20, 9.0))
    attempt("noise_std: got 1e-12 V, need more", noise_std=1e-12)
    attempt(
        "recurrent weights: got",
        noise_std=0.0,
        config=QuantizeConfig(state_scale=1e8),
        w_rec=300.0 * lif_net.w_rec,
    )
    attempt(
        "refractory: got 70",
        refractory=np.full(20, 0.07),
    )
    attempt(
        "vth: got",
        noise_std=0.0,
        config=QuantizeConfig(state_scale=1e9),
        v_leak=np.full(20, -0.065),
        w_rec=np.zeros((20, 20)),
        w_in=1e-6 * lif_net.w_in,
    )
    with pytest.raises(ValueError, match=r"headroom: got 0\.5, need at least 1"):
        quantize(lif_net, ranges, input_peak=1.0, config=QuantizeConfig(headroom=0.5))
    with pytest.raises(ValueError, match="input_peak: got -1"):
        quantize(lif_net, ranges, input_peak=-1)


def _with(n, where, value, others=0.05):
    array = np.full(n, others)
    array[where] = value
    return array


def test_each_population_has_its_own_scale(lif_net):
    """A second population with thresholds and weights 100 times smaller."""
    small = np.where(np.arange(20) < 12, 1.0, 0.01)
    net = dataclasses.replace(
        lif_net,
        noise_std=0.0,
        v_reset=np.zeros(20),
        v_leak=0.02 * small,
        v_th=0.025 * small,
        v0=np.zeros(20),
        w_in=lif_net.w_in * small[:, None],
        w_rec=lif_net.w_rec * small[:, None],
        population=np.where(small < 1, 1, 0),
    )
    ranges = Ranges(0.02 * small, 0.01 * small, 0.005 * small)
    made = quantize(net, ranges, input_peak=1.0)
    ratio = made.state_scale / made.state_scale[0]
    np.testing.assert_allclose(ratio, 1 / small, rtol=0.25)
    one = dataclasses.replace(net, population=np.zeros(20, dtype=int))
    single = quantize(one, ranges, input_peak=1.0)
    assert len(np.unique(single.state_scale)) == 1
    after = report_quantization(net, made, ranges)
    assert after.state_scale == (made.state_scale[0], made.state_scale[-1])
    errors = {p.name: p.worst for p in after.parameters}
    assert errors["v_th"] < 1e-4 and errors["w_rec"] < 5e-3
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (300, 4, 2))
    float_run = simulate_lif(net, inputs, seed=None).spikes
    chip_run = reference.run(made, messages(made, inputs)).spikes
    for group in (small == 1, small < 1):
        a = unpack(float_run.bits, 20)[:, :, group].mean()
        b = unpack(chip_run.bits, 20)[:, :, group].mean()
        assert a > 0.005 and b == pytest.approx(a, rel=0.02)


def test_noise_gives_all_populations_one_scale(lif_net):
    net = dataclasses.replace(lif_net, population=np.repeat([0, 1], 10))
    made = quantize(net, ranges_of(net), input_peak=1.0)
    assert len(np.unique(made.state_scale)) == 1


def test_outliers_are_split_unless_told_otherwise(lif_net):
    w_rec = np.array(lif_net.w_rec)
    w_rec[3, 4] = 60 * np.abs(w_rec).max()
    net = dataclasses.replace(lif_net, w_rec=w_rec, noise_std=0.0)
    lost = {}
    for outliers in ("split", "clip", "keep"):
        config = QuantizeConfig(outliers=outliers, percentile=97.0)
        made = quantize(net, ranges_of(net), input_peak=1.0, config=config)
        after = report_quantization(net, made, ranges_of(net))
        (found,) = [p for p in after.parameters if p.name == "w_rec"]
        lost[outliers] = found.zeroed
        assert (found.worst > 0.5) == (outliers == "clip")
    assert lost["keep"] > 50
    assert max(lost["split"], lost["clip"]) < 20


def test_choices_are_checked(lif_net):
    for match, chosen in (
        ("outliers: got 'drop', need one of", {"outliers": "drop"}),
        ("percentile: got 101.0, need at most 100", {"percentile": 101.0}),
        ("percentile: got 0.0, need", {"percentile": 0.0}),
        ("num_weight_bits: got 9, need 1 to 8", {"num_weight_bits": 9}),
    ):
        with pytest.raises(ValueError, match=match):
            quantize(
                lif_net,
                ranges_of(lif_net),
                input_peak=1.0,
                config=QuantizeConfig(**chosen),
            )


def test_each_kind_of_block_has_its_bits(lif_net):
    bits = {"input": 6, "recurrent.excitatory": 1, "recurrent.inhibitory": 3}
    config = QuantizeConfig(num_weight_bits=bits, outliers="fit")
    made = quantize(lif_net, ranges_of(lif_net), input_peak=1.0, config=config)
    found = {(b.source, b.sign_mode): b.num_weight_bits for b in made.blocks}
    assert found == {
        ("input", SignMode.EXCITATORY): 6,
        ("input", SignMode.INHIBITORY): 6,
        ("recurrent", SignMode.EXCITATORY): 1,
        ("recurrent", SignMode.INHIBITORY): 3,
    }


def test_each_sign_limits_the_scale_by_its_bits(lif_net):
    """One bit holds 128·2^7 at most, eight hold 255·2^7; both exactly at the limit."""
    net = dataclasses.replace(lif_net, noise_std=0.0, w_rec=100 * lif_net.w_rec)
    net = dataclasses.replace(net, w_in=1e-3 * net.w_in)
    small = ranges_of(net, i_peak=1e-6, v_low=1e-6)
    for sign, name in ((1, "excitatory"), (-1, "inhibitory")):
        config = QuantizeConfig(num_weight_bits={f"recurrent.{name}": 1})
        made = quantize(net, small, input_peak=1.0, config=config)
        a_mem, fraction = made.dv / 4096, (made.du + 1.0) / 4096
        gain = a_mem * fraction / (1 - np.exp(-1e-3 / net.tau_syn))
        whole = np.maximum(sign * net.w_rec, 0).max(axis=1) * gain * made.state_scale
        other = np.maximum(-sign * net.w_rec, 0).max(axis=1) * gain * made.state_scale
        use = (whole.max() / 64 / (128 << 7), other.max() / 64 / (255 << 7))
        assert max(use) == pytest.approx(1.0, rel=1e-9)


def test_a_configuration_is_a_value(lif_net):
    bits = {"recurrent": 4}
    config = QuantizeConfig(num_weight_bits=bits)
    assert config == QuantizeConfig(num_weight_bits={"recurrent": 4})
    assert hash(config) == hash(QuantizeConfig(num_weight_bits={"recurrent": 4}))
    assert config != QuantizeConfig(num_weight_bits=4)
    bits["recurrent"] = 2
    assert config.num_weight_bits == {"recurrent": 4}
    text = json.dumps(dataclasses.asdict(config))
    assert QuantizeConfig(**json.loads(text)) == config
    with pytest.raises(ValueError, match="num_weight_bits: got 'w_rec', need one of"):
        QuantizeConfig(num_weight_bits={"w_rec": 4})


def test_an_untraced_network_is_the_same_but_for_its_origin(lif_net):
    ranges = ranges_of(lif_net)
    traced = quantize(lif_net, ranges, input_peak=1.0)
    other = quantize(lif_net, ranges, input_peak=1.0, traced=False)
    assert traced.made_from == lif_net.fingerprint and other.made_from == ""
    assert storage.same(dataclasses.replace(other, made_from=traced.made_from), traced)


def test_channels_of_noise_need_messages_of_many_sizes(lif_net):
    noisy = dataclasses.replace(lif_net, input_noise_std=[0.25])
    spiking = QuantizeConfig(spiking_input=True)
    with pytest.raises(
        DoesNotFit, match="spiking_input: got 1 input channels of noise"
    ):
        quantize(noisy, ranges_of(noisy), input_peak=1.0, config=spiking)
    # Nothing is shown: messages are as fine as the noise wants them.
    fixed = quantize(noisy, ranges_of(noisy), input_peak=0.0)
    assert 16 <= 0.25 * fixed.input_scale <= 32


def test_weights_of_noise_have_exponents_of_their_own(lif_net):
    """A hundredth of the others, they would be left with a bit or two."""
    w_in = np.array(lif_net.w_in)
    w_in[:, 1] /= 100
    noisy = dataclasses.replace(lif_net, w_in=w_in, input_noise_std=[0.25])
    back = dequantize(quantize(noisy, ranges_of(noisy), input_peak=1.0))
    column = w_in[:, 1]
    np.testing.assert_allclose(back.w_in[:, 1], column, atol=0.01 * np.ptp(column))
    assert back.n_shown == 1
