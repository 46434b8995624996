"""Where the program `lightrec` begins: an interrupt while it is still loading is one line, too."""

import sys


def run() -> None:
    """Loads the program and runs it.

    Raises:
        SystemExit: Always, with one of the codes that `docs/errors.md` lists.
    """
    try:
        from lightrec.cli.main import run as program
    except KeyboardInterrupt:
        sys.stderr.write("lightrec: error: interrupted\n")
        sys.exit(130)
    program()
