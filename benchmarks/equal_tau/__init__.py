"""Whether the conversion carries timescales: states of networks, stage by stage."""
