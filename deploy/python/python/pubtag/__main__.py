"""The console script `pubtag`, and `python -m pubtag`."""

import signal
import sys

from pubtag._pubtag import main as run_arguments


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    # Python's handler would wait for the end of the command. An ignored signal, as under nohup, stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run_arguments(["pubtag", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
