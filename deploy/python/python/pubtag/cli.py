"""The command line from Python: functions named like its commands, with its arguments.

    from pubtag import cli

    cli.run("pubmed26n1335.xml.gz", "--output", "annotations")
    print(cli.evaluate("--gold", "test.txt", "--json"))

Each call is a process of its own, so that a failing GPU cannot take this one down, and settings of one call do not affect
the next. What the command prints is returned; its log goes to `sys.stderr`. `pubtag --help` describes all commands.
"""

import os
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from pubtag.errors import of_exit_code

__all__ = ["call", "evaluate", "run", "train", "verify"]

_Argument = str | os.PathLike[str]

_LAST_LINES = 20


def call(command: str, *arguments: _Argument) -> str:
    """Runs `pubtag COMMAND ARGUMENTS…` to its end and returns what it prints to stdout.

    Raises an exception of `pubtag.errors` by its exit code, with the last lines of its log.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "pubtag", command, *(os.fspath(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        try:
            return _finished(process)
        except KeyboardInterrupt:
            # A terminal sends Ctrl-C to the command too, which finishes its file; a notebook only to this process.
            process.terminate()
            raise


def run(*arguments: _Argument) -> str:
    """Tags files and commits each of them exactly once: `pubtag run`."""
    return call("run", *arguments)


def train(*arguments: _Argument) -> str:
    """Fine-tunes an encoder on annotated corpora: `pubtag train`."""
    return call("train", *arguments)


def evaluate(*arguments: _Argument) -> str:
    """Scores a model on annotated corpora: `pubtag evaluate`."""
    return call("evaluate", *arguments)


def verify(*arguments: _Argument) -> str:
    """Reads an output back and reports every defect: `pubtag verify`."""
    return call("verify", *arguments)


def _finished(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None and process.stderr is not None
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with ThreadPoolExecutor(1) as reader:
        # Both pipes are read at the same time: either may fill up.
        printed = reader.submit(process.stdout.read)
        for line in process.stderr:
            sys.stderr.write(line)
            last.append(line)
        code = process.wait()
        if code != 0:
            raise of_exit_code(code, "".join(last).strip() or f"exit code {code}")
        return printed.result()
