"""Names of a LIF network's surrogates and of what in it may train; without torch."""

# (U2)
SURROGATES = ("super", "tanh", "triangle", "heavi_erfc", "circ")
"""Norse's surrogates whose spikes are deterministic; "super" is SuperSpike,
doi:10.1162/neco_a_01086, "triangle" that of doi:10.1038/s41467-020-17236-y."""
WEIGHTS = ("w_in", "w_rec", "w_out", "b_out")
TRAINABLE = (*WEIGHTS, "v_leak", "tau_syn", "tau_mem", "v_th")
