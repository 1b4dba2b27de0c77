"""Making networks: readers, rate to LIF, training, quantization, and the records.

Everywhere: time is the first axis, batch the second, neuron the last; weights are
post × pre; SI units.
"""
