"""The command line."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import ray
from ray.exceptions import RayError

from pubtag_ray.inputs import Input, absolute, in_manifest, listed
from pubtag_ray.job import Job, JobConfig
from pubtag_ray.report import CONFIGURATION, TRANSIENT, Report

USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a job; prints its report as JSON. Returns the exit code: that of `pubtag run` over the same inputs."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    own, worker_options = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    args = parser().parse_args(own)
    program = shutil.which(args.program)
    if program is None:
        return failed(f"{args.program}: not found; set --program", CONFIGURATION)
    store_options = [f"--store-option={option}" for option in args.store_option]
    try:
        inputs = find_inputs(args, program, store_options)
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    except OSError as error:
        return failed(f"{args.manifest}: {error}", CONFIGURATION)
    if not inputs:
        return failed("no inputs; name files, directories or URLs, or set --manifest", USAGE)

    threads = str(max(1, int(args.cpus_per_worker)))
    device = ["--device", "cuda" if args.gpus_per_worker else "cpu"]
    output = absolute(args.output)
    command = [program, "worker", "--output", output, "--threads", threads, *device, *store_options, *worker_options]
    config = JobConfig(
        inputs, command, args.workers, args.cpus_per_worker, args.gpus_per_worker, args.retries, args.start_timeout
    )
    # Ray prints what nodes log to standard output, which is for the report alone.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            ray.init(address=args.address, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, RayError) as error:
            return failed(f"cannot connect to a Ray cluster: {error}", TRANSIENT)
        report = Job(config, Progress(args.quiet).show).run()
        ray.shutdown()
    for failure in report.failed:
        if failure["input"] is None:
            print("pubtag-ray: no worker could start", *failure["errors"], sep="\n  ", file=sys.stderr)
    finish(report, args, program, store_options)
    text = json.dumps(report.as_json(), indent=2)
    print(text)
    if args.report:
        args.report.write_text(text + "\n", encoding="utf-8")
    return report.exit_code


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="pubtag-ray", description="Runs pubtag on a Ray cluster.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="tag inputs",
        description="Tags inputs on a Ray cluster, one per task. What is committed is not tagged again, so a job that was "
        "killed, or that failed, is simply run again.",
        epilog="Options after `--` are those of `pubtag worker`, such as --model or --precision.",
    )
    add = run.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="files, directories, quoted globs or URLs, as for `pubtag run`")
    add("--manifest", type=Path, metavar="FILE", help="a file with one path or URL per line, as further inputs")
    add("--output", required=True, metavar="DIR|URL", help="a directory that all nodes share, or a URL")
    add("--address", default=None, metavar="ADDRESS", help="the cluster [default: RAY_ADDRESS, or this machine alone]")
    add("--workers", type=positive, metavar="N", help="maximum workers [default: one per slot of the cluster]")
    add("--cpus-per-worker", type=float, default=1.0, metavar="N", help="CPUs, and threads, per worker [default: 1]")
    add("--gpus-per-worker", type=float, default=0.0, metavar="N", help="GPUs per worker [default: 0]")
    add("--retries", type=int, default=5, metavar="N", help="retries after temporary failures, per input [default: 5]")
    add("--start-timeout", type=float, default=1800.0, metavar="SECONDS", help="wait for a free slot [default: 1800]")
    add("--store-option", action="append", default=[], metavar="KEY=VALUE", help="option of the object store")
    add("--verify", choices=["quick", "full", "off"], default="quick", help="verify the output [default: quick]")
    add("--publish", action="store_true", help="publish a snapshot once all inputs are committed")
    add("--program", default="pubtag", metavar="PATH", help="the program, on every node [default: pubtag]")
    add("--report", type=Path, metavar="FILE", help="write the report to a file, too")
    add("--quiet", action="store_true", help="show no progress")
    return top


def positive(text: str) -> int:
    """A number of workers."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def find_inputs(args: argparse.Namespace, program: str, store_options: Sequence[str]) -> list[Input]:
    """The inputs of the command line and the manifest, each once."""
    found = listed(program, args.inputs, store_options) if args.inputs else []
    if args.manifest:
        found += in_manifest(args.manifest)
    return list({input.uri: input for input in found}.values())


def finish(report: Report, args: argparse.Namespace, program: str, store_options: Sequence[str]) -> None:
    """Verifies the output and, if everything is committed, publishes it."""
    if args.verify != "off" and report.citations + report.deletions + report.rejects > 0:
        quick = ["--quick"] if args.verify == "quick" else []
        report.steps["verify"] = subprocess.run(
            [program, "verify", args.output, *quick, *store_options], stdout=sys.stderr
        ).returncode
    if args.publish and report.exit_code == 0:
        report.steps["snapshot"] = subprocess.run(
            [program, "snapshot", args.output, *store_options], stdout=sys.stderr
        ).returncode


class Progress:
    """A line on standard error now and then."""

    EVERY = 10.0

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._shown = time.monotonic()

    def show(self, job: Job) -> None:
        if self._quiet or time.monotonic() - self._shown < self.EVERY:
            return
        self._shown = time.monotonic()
        report = job.report
        settled = report.committed + report.already_committed + len(report.failed)
        line = f"{settled}/{report.inputs} inputs · {job.workers} workers"
        if job.starting:
            line += f", {job.starting} starting or waiting for a slot"
        line += f" · {report.new_citations:,} citations"
        if report.seconds and job.done_bytes:
            left = job.left_bytes / job.done_bytes * report.seconds
            line += f" · {report.new_citations / report.seconds:,.0f} citations/s · {left / 3600:.1f} h left"
        if report.retries:
            line += f" · {report.retries} retries"
        print(line, file=sys.stderr, flush=True)


def failed(message: str, code: int) -> int:
    print(f"pubtag-ray: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
