"""Runs pubtag on a Ray cluster.

    inputs ─► Job ─► Tagger (actor) ─► `pubtag worker` (process) ─► output
              retries                   one per CPU slot or GPU      one commit per input

`job.py` distributes inputs and decides about retries; `tagger.py` is the actor; `worker.py` speaks the protocol of
`pubtag worker` (deploy/worker.md), without Ray. What was committed is in the output alone: a job that is killed is run again.
"""

from pubtag_ray.job import Job, JobConfig
from pubtag_ray.report import Report

__all__ = ["Job", "JobConfig", "Report"]
