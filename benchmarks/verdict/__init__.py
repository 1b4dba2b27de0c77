"""Whether the verdict on states is right: on pairs and faults with known answers."""
