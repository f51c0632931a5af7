"""Distributes inputs over actors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from pubtag_ray.inputs import Input
from pubtag_ray.report import CONFIGURATION, DATA, TRANSIENT, Report
from pubtag_ray.tagger import Tagger
from pubtag_ray.worker import Record

TICK = 1.0
"""Seconds between looks at the size of the cluster."""

LONGEST_PAUSE = 60.0
"""Seconds before an input is tried again, at most."""


@dataclass(frozen=True)
class JobConfig:
    """What to tag, and with what."""

    inputs: Sequence[Input]
    command: Sequence[str]
    """`pubtag worker` with its options; the same program must be on every node."""
    workers: int | None = None
    """The most actors at a time; without it, as many as the cluster has slots, also while it grows."""
    cpus: float = 1.0
    gpus: float = 0.0
    """What an actor needs."""
    retries: int = 5
    """How often an input is tried again, after temporary failures and lost workers."""


@dataclass
class Attempt:
    input: Input
    number: int = 1
    not_before: float = 0.0


@dataclass
class Job:
    """Tags all inputs. What is committed stays so, whatever becomes of the job: run it again to continue."""

    config: JobConfig
    progress: Callable[[Job], None] = lambda job: None
    """Called about once per second."""
    report: Report = field(default_factory=Report)
    done_bytes: int = 0
    """Bytes of the inputs that this job has committed."""
    left_bytes: int = 0
    """Bytes of those that are neither committed nor failed."""
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        # Large inputs first, so that none is left over at the end.
        by_size = sorted(self.config.inputs, key=lambda input: -input.size)
        self._waiting = [Attempt(input) for input in by_size]
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, Attempt]] = {}
        self.report.inputs = len(by_size)
        self.left_bytes = sum(input.size for input in by_size)

    def run(self) -> Report:
        """Runs to the end of all inputs, or up to a failure that concerns them all (78)."""
        try:
            while (self._waiting or self._running) and not self._is_pointless():
                self._assign()
                done, _ = ray.wait(list(self._running), timeout=TICK) if self._running else ([], time.sleep(TICK))
                for answer in done:
                    self._settle(answer)
                self.report.seconds = time.monotonic() - self.started
                self.progress(self)
        finally:
            for actor in [*self._idle, *(actor for actor, _ in self._running.values())]:
                ray.kill(actor)
        return self.report

    @property
    def workers(self) -> int:
        """Actors at present."""
        return len(self._idle) + len(self._running)

    def _is_pointless(self) -> bool:
        return any(failed["exit_code"] == CONFIGURATION for failed in self.report.failed)

    def _assign(self) -> None:
        """Gives every idle actor an input. Idle actors without one are released, so that their nodes may be, too."""
        now = time.monotonic()
        ready = [attempt for attempt in self._waiting if attempt.not_before <= now]
        while ready and (self._idle or self.workers < self._most_workers()):
            attempt = ready.pop(0)
            self._waiting.remove(attempt)
            actor = self._idle.pop() if self._idle else self._start()
            self._running[actor.tag.remote(attempt.input.uri)] = (actor, attempt)
        while self._idle:
            ray.kill(self._idle.pop())

    def _most_workers(self) -> int:
        if self.config.workers is not None:
            return self.config.workers
        resources = ray.cluster_resources()
        slots = [
            resources.get(name, 0.0) / need
            for name, need in (("CPU", self.config.cpus), ("GPU", self.config.gpus))
            if need
        ]
        # At least one: an autoscaler may start a node for it.
        return max(1, int(min(slots, default=1)))

    def _start(self) -> Any:
        options = {"num_cpus": self.config.cpus, "num_gpus": self.config.gpus, "scheduling_strategy": "SPREAD"}
        return Tagger.options(**options).remote(list(self.config.command))

    def _settle(self, answer: Any) -> None:
        actor, attempt = self._running.pop(answer)
        try:
            record: Record = ray.get(answer)
        except RayError as error:
            lines = str(error).strip().splitlines()
            record = {"type": "lost", "input": attempt.input.uri, "exit_code": TRANSIENT, "errors": lines[:1]}
        if record["type"] == "lost":
            self.report.lost_workers += 1
        if record["exit_code"] in (0, DATA, TRANSIENT, CONFIGURATION) and record["type"] != "lost":
            self._idle.append(actor)
        else:
            # After any other code the worker ends.
            ray.kill(actor)
        if record["type"] == "commit":
            self._commit(attempt, record)
        elif record["exit_code"] in (DATA, CONFIGURATION) or attempt.number > self.config.retries:
            self.left_bytes -= attempt.input.size
            self.report.fail(record)
        else:
            self._retry(attempt)

    def _commit(self, attempt: Attempt, record: Record) -> None:
        self.left_bytes -= attempt.input.size
        self.done_bytes += attempt.input.size if record["status"] == "committed" else 0
        self.report.add(record)

    def _retry(self, attempt: Attempt) -> None:
        self.report.retries += 1
        pause = min(LONGEST_PAUSE, 2.0 ** (attempt.number - 1))
        again = Attempt(attempt.input, attempt.number + 1, time.monotonic() + pause)
        self._waiting.insert(0, again)
