"""The script that `export_lava` copies: it runs a network in Lava without isotau."""
