"""The actor: a worker process on some node of the cluster."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import ray

from pubtag_ray.report import CONFIGURATION, TRANSIENT
from pubtag_ray.worker import CANNOT_EXECUTE, Record, Worker, WorkerLost

POINTLESS = (2, CONFIGURATION, CANNOT_EXECUTE)
"""Exit codes of a process that would not start elsewhere, either."""


@ray.remote(max_restarts=0, max_task_retries=0)
class Tagger:
    """Tags one input at a time. Ray sets `CUDA_VISIBLE_DEVICES` for actors with a GPU, and the process inherits it.

    Restarting it is up to the job, which knows how often an input has ended a worker.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._worker: Worker | None = None

    def start(self) -> Record:
        """Starts the process and returns its `ready`, or a `lost`.

        Not part of the constructor, whose exceptions reach the job as a text.
        """
        try:
            self._worker = Worker(self._command)
            return self._worker.ready
        except WorkerLost as lost:
            return record_of(lost, None)

    def tag(self, uri: str) -> Record:
        """The answer to a request, or a `lost`, after which the actor is of no use."""
        assert self._worker is not None, "start it first"
        try:
            return self._worker.tag(uri)
        except WorkerLost as lost:
            return record_of(lost, uri)


def record_of(lost: WorkerLost, uri: str | None) -> Record:
    """A worker that was lost while it tagged an input, or while it started."""
    code = CONFIGURATION if lost.exit_code in POINTLESS else TRANSIENT
    what = f"pubtag worker on {platform.node()} ended with exit code {lost.exit_code}"
    return {"type": "lost", "input": uri, "exit_code": code, "errors": [what, *lost.log]}
