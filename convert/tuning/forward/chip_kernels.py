"""The chip's time step compiled, which leaves what the backward pass needs.

The step is that of `isotau.convert.chip.compiled_step`, whose docstring says what its
rows hold; a row here is as long as the network, not padded. What differs from the
engine: messages and spikes of the step before are delivered at the beginning of the
step that they arrive in, since gradients go to these spikes; and weights are int32, in
layers (`chip_pass.Layers`), since they change with every update of the parameters.
"""

import numpy as np

from isotau.convert.chip import compiled_step as chip
from isotau.convert.chip.philox import MEMBRANE, SYNAPSE
from isotau.convert.chip.vector_noise import PAIR, STEPS, draw_samples
from isotau.convert.simulate.vectors.vector_lif import RESTED, SPIKED

TURN = 16
"""Steps of a trial before the next has its turn: what is written stays in the cache."""


@chip.kernel
def deliver_layer(arriving, total, down, layer):
    """Add a layer's sums, each shifted right by its own number of bits: (H12)."""
    # A layer's blocks differ in exponent, and no neuron is in two of them.
    for j in range(arriving.shape[0]):
        arriving[j] = np.int32(arriving[j] + chip.shifted(total[j], 0, down[layer, j]))


@chip.kernel
def send_spikes(arriving, rows, down, row_of, source_list, sources, row_list, total):
    """Deliver what the spikes of some sources add."""
    zeros = rows.shape[0] - 1  # the last row
    for layer in range(row_of.shape[0]):
        count = chip.list_rows(source_list, sources, row_of[layer], row_list, zeros)
        if count > 0:
            chip.add_rows(total, rows, row_list, 0, count)
            deliver_layer(arriving, total, down, layer)


@chip.kernel
def send_messages(arriving, rows, down, row_of, messages, total):
    """Deliver weights times messages, summed as int32."""
    for layer in range(row_of.shape[0]):
        # a layer that hears no message adds nothing, not even a floor
        if chip.sum_messages(total, rows, row_of[layer], messages):
            deliver_layer(arriving, total, down, layer)


@chip.kernel
def tape_step(flags, x, t, trial, refractory_left, peak, threshold, per_v):
    """Keep who rests, and how far v was above threshold, in the module's units."""
    for j in range(refractory_left.shape[0]):
        flags[t, trial, j] = RESTED * np.uint8(refractory_left[j] > 0)
    for j in range(refractory_left.shape[0]):
        # both are within 24 bits: their difference needs no 64
        above = np.int32(peak[j] - threshold[j])
        x[t, trial, j] = x.dtype.type(above) * per_v[j]


@chip.kernel
def in_units(integers, per_integer, out):
    """Set what some integers stand for in the module's units."""
    for j in range(out.shape[0]):
        out[j] = out.dtype.type(integers[j]) * per_integer[j]


@chip.kernel
def tape_currents(current, noise, t, trial, u, stirred, per_u):
    """Keep J of (U10), as u holds it before its decay, and what noise added to it."""
    if current.shape[0] > 0:
        in_units(u, per_u, current[t, trial])
    if noise.shape[0] > 0:
        in_units(stirred, per_u, noise[t, trial])


@chip.kernel
def add_drawn(total, start, samples, drawn, place, stream, scale):
    """Set a row to another and the noise of a step, drawn with the next ones' if due.

    Args:
        total: row.
        start: row.
        samples: room, pair × step × neuron of the pair.
        drawn: which of the steps that are drawn together.
        place: key, number of the step, trial.
        stream: of `philox`.
        scale: rows from `arithmetic.noise_scale`.
    """
    # Those of the next steps wait as bytes until they are added.
    if drawn == 0:
        key, now, trial = place
        draw_samples(samples, samples.shape[0], key, now, trial, stream)
    chip.add_noise(total, start, samples, drawn, scale)


@chip.kernel
def run_trials(first, last, program, messages, state, units, noise_of, every, out):
    """Run the trials from `first` to `last` − 1, each some steps at a time.

    Args:
        first: trial.
        last: trial, not included.
        program: from `chip_pass.program_of`.
        messages: steps × trial × channel, int32, that arrive in each step.
        state: z (uint8, filled up with zeros to whole words), u, v and steps left at
            reset (int32), trial × neuron; changed.
        units: of voltage per integer of v and of u, a row each.
        noise_of: key, number of the first step; scales of the noise in v and in u, of
            length 0 for none.
        every: steps between two samples of the current; 0 for none.
        out: steps × trial × neuron, filled: spikes; flags, x, current and noise of a
            `Tape`, each of them without steps where it is not kept; last samples.
    """
    # Rows are taken in every step: bare arrays save counting references, atomically.
    recurrent, graded, binary, keep_u, keep_v, bias, threshold, refractory = program
    rows, down, row_of = chip.bare(recurrent[0]), recurrent[1], chip.bare(recurrent[2])
    rows_g, down_g, row_of_g = chip.bare(graded[0]), graded[1], chip.bare(graded[2])
    rows_b, down_b, row_of_b = chip.bare(binary[0]), binary[1], chip.bare(binary[2])
    zs, us = chip.bare(state[0]), chip.bare(state[1])
    vs, pauses = chip.bare(state[2]), chip.bare(state[3])
    (per_v, per_u), (key, step, scale_v, scale_u) = units, noise_of
    to_v, to_u = len(scale_v[0]) > 0, len(scale_u[0]) > 0
    spikes, flags, x, current = out[0], chip.bare(out[1]), chip.bare(out[2]), out[3]
    noise, currents = out[4], out[5]
    messages = chip.bare(messages)
    n, words_n, channels = us.shape[1], zs.shape[1], messages.shape[2]
    spike_list, sender_list = np.zeros(words_n, np.int64), np.zeros(channels, np.int64)
    row_list = np.zeros(max(words_n, channels) + chip.SPARE_ROWS, np.int64)
    arriving, total = np.zeros(n, np.int32), np.zeros(n, np.int32)
    drive, peak = bias.copy(), np.zeros(n, np.int32)
    still, stirred = np.zeros(n, np.int32), np.zeros(n, np.int32)
    samples = np.zeros((2, (n + PAIR - 1) // PAIR, STEPS, PAIR), np.int8)
    of_v, of_u = samples[0], samples[1]
    for start in range(0, messages.shape[0], TURN):
        for trial in range(first, last):
            u, v, fired = us[trial], vs[trial], zs[trial]
            refractory_left, words = pauses[trial], fired.view(np.uint64)
            for t in range(start, min(start + TURN, messages.shape[0])):
                # z of the step before and the messages sent in it arrive: (H1), (H12)
                for j in range(n):
                    arriving[j] = 0
                sent = messages[t, trial]
                count = chip.list_spikes(words, fired, None, spike_list)
                send_spikes(
                    arriving, rows, down, row_of, spike_list, count, row_list, total
                )
                send_messages(arriving, rows_g, down_g, row_of_g, sent, total)
                count = chip.list_senders(sent, sender_list)
                send_spikes(
                    *(arriving, rows_b, down_b, row_of_b),
                    *(sender_list, count, row_list, total),
                )
                drawn, place = (t - start) % STEPS, (key, step + t, trial)
                if to_v:
                    add_drawn(drive, bias, of_v, drawn, place, MEMBRANE, scale_v)
                if to_u:
                    add_drawn(stirred, still, of_u, drawn, place, SYNAPSE, scale_u)
                chip.integrate(u, v, peak, arriving, stirred, drive, keep_u, keep_v)
                # between the two: `fire` counts the steps of rest down
                if x.shape[0] > 0:
                    tape_step(
                        flags, x, t, trial, refractory_left, peak, threshold, per_v
                    )
                chip.fire(v, refractory_left, peak, fired, threshold, refractory)
                for j in range(n):
                    spikes[t, trial, j] = fired[j]
                if x.shape[0] > 0:
                    for j in range(n):
                        flags[t, trial, j] |= SPIKED * fired[j]
                tape_currents(current, noise, t, trial, u, stirred, per_u)
                if every > 0 and (step + t + 1) % every == 0:
                    sample = (step + t) // every - step // every
                    in_units(u, per_u, currents[sample, trial])
