"""The actor: a worker process on some node of the cluster."""

from __future__ import annotations

from collections.abc import Sequence

import ray

from pubtag_ray.report import CONFIGURATION, TRANSIENT
from pubtag_ray.worker import Record, Worker, WorkerLost

EXIT_CODES = {2: CONFIGURATION, CONFIGURATION: CONFIGURATION}
"""What to do about a process that has ended: one that cannot start will not start elsewhere, any other may."""


@ray.remote(max_restarts=0, max_task_retries=0)
class Tagger:
    """Tags one input at a time. Ray sets `CUDA_VISIBLE_DEVICES` for actors with a GPU, and the process inherits it.

    Restarting it is up to the job, which knows how often an input has ended a worker.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._worker: Worker | None = None

    def tag(self, uri: str) -> Record:
        """The answer to a request. If the process cannot start, or ends, a `lost` with its exit code."""
        try:
            # Here, because an exception of a constructor reaches the job as a text.
            self._worker = self._worker or Worker(self._command)
            return self._worker.tag(uri)
        except WorkerLost as lost:
            code = EXIT_CODES.get(lost.exit_code, TRANSIENT)
            return {"type": "lost", "input": uri, "exit_code": code, "errors": [str(lost)]}

    def place(self) -> tuple[str, int]:
        """The node, and the process on it; 0 if it has not started."""
        return ray.get_runtime_context().get_node_id(), self._worker.pid if self._worker else 0
