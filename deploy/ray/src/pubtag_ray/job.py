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
"""Seconds before another try, at most."""


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
    """How often an input is tried again after temporary failures and lost workers, and a start that fails."""
    start_timeout: float = 1800.0
    """Seconds that the job waits for a first worker, or another one after all are gone."""


@dataclass
class Attempt:
    input: Input
    number: int = 1
    not_before: float = 0.0


@dataclass
class Job:
    """Tags all inputs. What is committed stays so, whatever becomes of the job: run it again to continue.

    Actors start without an input: those that the cluster has no room for yet do not hold up the others.
    """

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
        # Actors that wait for a slot or load the model, by their answers, with the number of failed starts before.
        self._starting: dict[Any, tuple[Any, int]] = {}
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, Attempt]] = {}
        # In a row; many that fail at the same time are one.
        self._failed_starts = 0
        self._start_after = 0.0
        self._had_room = self.started
        self.report.inputs = len(by_size)
        self.left_bytes = sum(input.size for input in by_size)

    def run(self) -> Report:
        """Runs to the end of all inputs, or up to a failure that concerns them all (78, or no worker that starts)."""
        try:
            while (self._waiting or self._running) and not self._is_over():
                self._assign()
                self._resize()
                for answer in self._answers():
                    self._settle(answer)
                self._note_room()
                self.report.seconds = time.monotonic() - self.started
                self.progress(self)
        finally:
            starting = [actor for actor, _ in self._starting.values()]
            for actor in [*starting, *self._idle, *(actor for actor, _ in self._running.values())]:
                ray.kill(actor)
        return self.report

    @property
    def workers(self) -> int:
        """Workers that tag, or could."""
        return len(self._idle) + len(self._running)

    @property
    def starting(self) -> int:
        """Workers that wait for a slot of the cluster, or load the model."""
        return len(self._starting)

    def _is_over(self) -> bool:
        return any(failed["input"] is None or failed["exit_code"] == CONFIGURATION for failed in self.report.failed)

    def _note_room(self) -> None:
        """Ends the job if the cluster has had no room for a worker for too long."""
        now = time.monotonic()
        if self.workers or not self._starting:
            self._had_room = now
        elif now - self._had_room > self.config.start_timeout:
            self.report.fail(no_room(self.config))

    def _assign(self) -> None:
        """Gives idle actors the inputs that are due."""
        now = time.monotonic()
        for attempt in [attempt for attempt in self._waiting if attempt.not_before <= now][: len(self._idle)]:
            actor = self._idle.pop()
            self._waiting.remove(attempt)
            self._running[actor.tag.remote(attempt.input.uri)] = (actor, attempt)

    def _resize(self) -> None:
        """Starts actors up to the limit. Those that no input waits for are released, so that their nodes may be, too."""
        while self._starting and self.starting + len(self._idle) > len(self._waiting):
            ray.kill(self._starting.popitem()[1][0])
        while len(self._idle) > len(self._waiting):
            ray.kill(self._idle.pop())
        if time.monotonic() < self._start_after:
            return
        unserved = len(self._waiting) - self.starting - len(self._idle)
        for _ in range(min(unserved, self._most_workers() - self.starting - self.workers)):
            actor = self._new_actor()
            self._starting[actor.start.remote()] = (actor, self._failed_starts)

    def _most_workers(self) -> int:
        if self.config.workers is not None:
            return self.config.workers
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        slots = [
            resources.get(name, 0.0) / need
            for name, need in (("CPU", self.config.cpus), ("GPU", self.config.gpus))
            if need
        ]
        # At least one: an autoscaler may start a node for it.
        return max(1, int(min(slots, default=1)))

    def _new_actor(self) -> Any:
        options = {"num_cpus": self.config.cpus, "num_gpus": self.config.gpus, "scheduling_strategy": "SPREAD"}
        return Tagger.options(**options).remote(list(self.config.command))  # type: ignore[attr-defined]

    def _answers(self) -> list[Any]:
        """The next answers, if any come within a tick."""
        expected = [*self._starting, *self._running]
        if not expected:
            time.sleep(TICK)
            return []
        answers, _ = ray.wait(expected, timeout=TICK)
        return answers

    def _settle(self, answer: Any) -> None:
        record = record_of(answer)
        if record["type"] == "lost":
            self.report.lost_workers += 1
        if answer in self._starting:
            self._settle_start(*self._starting.pop(answer), record)
        else:
            self._settle_input(*self._running.pop(answer), record)

    def _settle_start(self, actor: Any, failed_before: int, record: Record) -> None:
        if record["type"] == "ready":
            self._failed_starts = 0
            self._idle.append(actor)
            return
        ray.kill(actor)
        if failed_before == self._failed_starts:
            self._failed_starts += 1
            self._start_after = time.monotonic() + pause(self._failed_starts)
        is_alone = not self.workers and self._failed_starts > self.config.retries
        if record["exit_code"] == CONFIGURATION or is_alone:
            self.report.fail(record)

    def _settle_input(self, actor: Any, attempt: Attempt, record: Record) -> None:
        if record["exit_code"] in (0, DATA, TRANSIENT, CONFIGURATION) and record["type"] != "lost":
            self._idle.append(actor)
        else:
            # After any other code the worker ends.
            ray.kill(actor)
        if record["type"] == "commit":
            self._commit(attempt, record)
        elif record["exit_code"] in (DATA, CONFIGURATION) or attempt.number > self.config.retries:
            self.left_bytes -= attempt.input.size
            self.report.fail(record | {"input": attempt.input.uri})
        else:
            self._retry(attempt)

    def _commit(self, attempt: Attempt, record: Record) -> None:
        self.left_bytes -= attempt.input.size
        self.done_bytes += attempt.input.size if record["status"] == "committed" else 0
        self.report.add(record)

    def _retry(self, attempt: Attempt) -> None:
        self.report.retries += 1
        again = Attempt(attempt.input, attempt.number + 1, time.monotonic() + pause(attempt.number))
        self._waiting.insert(0, again)


def record_of(answer: Any) -> Record:
    """The record that an actor answered; `lost` if the actor or its node is gone."""
    try:
        record: Record = ray.get(answer)
        return record
    except RayError as error:
        # The first line says what happened, and the last one why, if there was an exception.
        first, *others = str(error).strip().splitlines() or [repr(error)]
        return {"type": "lost", "input": None, "exit_code": TRANSIENT, "errors": [first, *others[-1:]]}


def no_room(config: JobConfig) -> Record:
    """The failure of a job without workers."""
    needs = " and ".join(f"{need:g} {what}" for need, what in ((config.cpus, "CPU"), (config.gpus, "GPU")) if need)
    error = f"no worker has started in {config.start_timeout:g} s: no node has {needs} free"
    return {"input": None, "exit_code": TRANSIENT, "errors": [error]}


def pause(failures: int) -> float:
    """Seconds before another try."""
    return min(LONGEST_PAUSE, 2.0 ** (failures - 1))
