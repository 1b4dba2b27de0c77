"""Estimators: from series to one time constant per neuron."""
