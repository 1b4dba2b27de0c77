"""The compiled sums behind `moments`: of samples and of products at lags, per trial.

Sums are float64, whatever the samples are, and run in the order of samples, so that
they do not depend on how a run is cut into strides or shared by threads.
"""

from isotau.convert.chip.compiled_step import bare
from isotau.convert.simulate.lif_kernels import exact


@exact
def add_samples(first, last, chunk, history, seen, lags, total, products, heads):
    """Add the samples of the trials `first` … `last` − 1.

    Args:
        first: trial.
        last: trial, not included.
        chunk: samples × batch × place.
        history: the samples before them, as many as the longest lag; those before the
            first of all are never read.
        seen: number of samples before the chunk.
        lags: in samples.
        total: sums of samples, batch × place.
        products: of samples and those a lag before, batch × lag × place.
        heads: sums of the samples that have none before, batch × lag × place.
    """
    samples, before = bare(chunk), bare(history)
    totals, sums, starts = bare(total), bare(products), bare(heads)
    count = len(samples)
    for b in range(first, last):
        for s in range(count):
            x = samples[s, b]
            add_row(totals[b], x)
            for k in range(lags.shape[0]):
                lag = lags[k]
                # No pair yet: its earlier sample would stand before the first of all.
                if seen + s < lag:
                    add_row(starts[b, k], x)
                # The earlier sample came with a chunk before this one.
                elif s < lag:
                    add_products(sums[b, k], x, before[before.shape[0] + s - lag, b])
                else:
                    add_products(sums[b, k], x, samples[s - lag, b])


@exact
def add_row(total, x):
    """Add a row."""
    for j in range(x.shape[0]):
        total[j] += x[j]


@exact
def add_products(total, x, y):
    """Add the products of two rows."""
    # Sums of many float32 products would lose their small ones.
    wide = total.dtype.type
    for j in range(x.shape[0]):
        total[j] += wide(x[j]) * wide(y[j])
