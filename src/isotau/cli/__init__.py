"""The command line: parse, call, save, print."""

from isotau.cli.app import main as main
