"""`python -m pixelwise`: the command line, for launchers such as torchrun."""

import sys

from pixelwise.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
