"""What a job did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pubtag_ray.worker import Record

DATA, INTERNAL, TRANSIENT, CONFIGURATION = 65, 70, 75, 78
"""Exit codes of pubtag."""

WORST_FIRST = [CONFIGURATION, INTERNAL, TRANSIENT, DATA]


@dataclass
class Report:
    """The sum of all commits, and the inputs that have none."""

    inputs: int = 0
    committed: int = 0
    """Inputs that this job committed."""
    already_committed: int = 0
    """Inputs that an earlier job, or another one at the same time, committed."""
    citations: int = 0
    deletions: int = 0
    rejects: int = 0
    annotations: int = 0
    """Rows of all commits, whoever made them."""
    new_citations: int = 0
    """Citations that this job committed."""
    tokens: int = 0
    """Tokens that the model read in this job."""
    retries: int = 0
    lost_workers: int = 0
    """Workers that ended without an answer: killed, or on a node that was."""
    failed: list[dict[str, Any]] = field(default_factory=list)
    """Inputs without a commit, and commits that exceed a limit, with exit code and errors. An entry without an input is why
    the job ended before its inputs: no worker could start."""
    seconds: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)
    """Exit codes of what follows: `verify`, `snapshot`."""

    def add(self, commit: Record) -> None:
        """Counts a commit."""
        if commit["status"] == "committed":
            self.committed += 1
            self.new_citations += commit["citations"]
        else:
            self.already_committed += 1
        for name in ("citations", "deletions", "rejects", "annotations", "tokens"):
            setattr(self, name, getattr(self, name) + commit[name])
        if commit["exit_code"]:
            self.fail(commit)

    def fail(self, record: Record) -> None:
        """Notes an input that needs somebody's attention."""
        self.failed.append({name: record[name] for name in ("input", "exit_code", "errors")})

    @property
    def exit_code(self) -> int:
        """0, or the worst of all inputs and steps."""
        codes = [failed["exit_code"] for failed in self.failed] + list(self.steps.values())
        known = [code for code in WORST_FIRST if code in codes]
        return known[0] if known else max(codes, default=0)

    def as_json(self) -> dict[str, Any]:
        """All fields, the exit code and the speed."""
        speed = self.new_citations / self.seconds if self.seconds else 0.0
        return {"exit_code": self.exit_code, **asdict(self), "citations_per_second": round(speed, 1)}
