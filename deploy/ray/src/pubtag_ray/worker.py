"""A `pubtag worker` process, and its protocol."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]
"""A line of JSON from the worker."""

PROTOCOL = 1


class WorkerLost(Exception):
    """The process has ended without an answer."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
        """As a shell reports it: 128 and the number of the signal for a process that was killed."""

    def __str__(self) -> str:
        return f"pubtag worker ended with exit code {self.exit_code}"


class Worker:
    """A process that tags one input at a time. Must be created on a thread that lives as long as it is needed."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )
        self.ready = self._read()
        if self.ready.get("protocol") != PROTOCOL:
            self.close()
            raise RuntimeError(f"expected protocol {PROTOCOL} of pubtag worker, found {self.ready}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def tag(self, uri: str) -> Record:
        """Has an input tagged; returns its `commit` or `failure`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"id": uri, "input": uri}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost(self._exit_code()) from None
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
            raise WorkerLost(self._exit_code())
        record: Record = json.loads(line)
        return record

    def _exit_code(self) -> int:
        code = self._process.wait()
        return code if code >= 0 else 128 - code
