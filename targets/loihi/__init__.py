"""The chip: its limits as data, networks on its cores, and what running them costs."""
