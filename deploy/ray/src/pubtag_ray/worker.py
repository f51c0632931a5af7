"""A `pubtag worker` process, and its protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from threading import Thread
from typing import Any

Record = dict[str, Any]
"""A line of JSON from the worker."""

PROTOCOL = 1

LAST_LINES = 5
"""Lines of its log that are kept for the case that it ends."""

CANNOT_EXECUTE = 126
"""The exit code of a shell for a program that cannot be started."""


class WorkerLost(Exception):
    """The process has ended without an answer, or could not start."""

    def __init__(self, exit_code: int, log: Sequence[str]) -> None:
        super().__init__(exit_code, log)
        self.exit_code = exit_code
        """As a shell reports it: 128 and the number of the signal for a process that was killed."""
        self.log = log
        """The last lines of its log."""


class Worker:
    """A process that tags one input at a time. Must be created on a thread that lives as long as it is needed.

    Its log goes to `sys.stderr`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Returns once the model is loaded.

        Raises `WorkerLost`.
        """
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise WorkerLost(CANNOT_EXECUTE, [f"{command[0]}: {error.strerror}"]) from None
        self._log: deque[str] = deque(maxlen=LAST_LINES)
        self._logging = Thread(target=self._pass_on_log, daemon=True)
        self._logging.start()
        self.ready = self._read()
        if self.ready.get("protocol") != PROTOCOL:
            self.close()
            raise WorkerLost(CANNOT_EXECUTE, [f"expected protocol {PROTOCOL} of pubtag worker, found {self.ready}"])

    def tag(self, uri: str) -> Record:
        """Has an input tagged; returns its `commit` or `failure`.

        Raises `WorkerLost`.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"id": uri, "input": uri}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._lost() from None
        while (record := self._read())["type"] not in ("commit", "failure"):
            pass
        return record

    def close(self) -> None:
        """Ends the process; what it is tagging is not committed."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> Record:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise self._lost()
        record: Record = json.loads(line)
        return record

    def _lost(self) -> WorkerLost:
        code = self._process.wait()
        self._logging.join()
        return WorkerLost(code if code >= 0 else 128 - code, list(self._log))

    def _pass_on_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            sys.stderr.write(line)
            if line.strip():
                self._log.append(line.rstrip())
