"""`python -m pyama_core` is the command `pyama`."""

from pyama_core.cli.app import main

if __name__ == "__main__":
    main()
