"""`python -m isotau`: the command line."""

from isotau.cli import main

if __name__ == "__main__":
    main()
