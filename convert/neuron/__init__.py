"""The one neuron that stands for a unit: its constants, f–I curve and activations."""
