"""Slots of a cluster that come, go, have GPUs, or never appear. Workers are stopped where they must not be too fast."""

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
from conftest import (
    PROGRAM,
    TINY_MODEL,
    assert_same_rows,
    commits,
    end_job,
    on_node,
    run_alone,
    start_job,
    tagging,
    wait_until,
    workers,
    write_file,
)
from pubtag_ray.worker import Worker, WorkerLost

FILES = 10
TINY = ["--model", TINY_MODEL]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Files of different sizes, the largest last."""
    folder = tmp_path_factory.mktemp("in") / "corpus"
    folder.mkdir()
    for file in range(FILES):
        write_file(folder / name(file), file * 1_000, 10 * (file + 1))
    return folder


def name(file):
    return f"pubmed26n{file:04}.xml.gz"


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    output = tmp_path_factory.mktemp("alone") / "out"
    run_alone([corpus], output, *TINY)
    return output


@contextlib.contextmanager
def stopped(pids):
    """Processes do nothing for a while."""
    pids = list(pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_node_that_joins_gets_work(cluster, add_node, corpus, alone, tmp_path):
    output = tmp_path / "out"
    job = start_job(cluster, corpus, "--output", output, "--", *TINY)
    wait_until("two workers", lambda: len(workers(output)) == 2)
    with stopped(workers(output)):
        before = commits(output)
        node = add_node(num_cpus=1)
        wait_until("a worker on the node", lambda: on_node(node, output))
        wait_until("a commit by it", lambda: commits(output) > before)
    report, code = end_job(job)
    assert (code, report["committed"], report["lost_workers"]) == (0, FILES, 0)
    assert_same_rows(output, alone)


def test_workers_without_a_slot_keep_nothing_from_the_others(cluster, corpus, alone, tmp_path):
    """An autoscaler sees what they ask for; this cluster has none."""
    output = tmp_path / "out"
    job = start_job(cluster, corpus, "--output", output, "--workers", 5, "--", *TINY)
    report, code = end_job(job)
    assert (code, report["committed"], report["lost_workers"], report["retries"]) == (0, FILES, 0, 0)
    records = [json.loads(marker.read_text()) for marker in output.glob("_pubtag/commits/*.json")]
    in_order = [Path(record["input"]["uri"]).name for record in sorted(records, key=lambda record: record["committed_at"])]
    assert not {name(5), name(6), name(7)} & set(in_order[-3:]), f"three workers had them, and no slot: {in_order}"
    assert_same_rows(output, alone)


def test_idle_workers_are_released_before_the_end(cluster, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for file, articles in enumerate((3_000, 3, 3, 3)):
        write_file(folder / name(file), file * 1_000, articles)
    job = start_job(cluster, folder, "--output", output, "--", *TINY)
    wait_until("work on the large file", lambda: name(0) in tagging(output, folder).values())
    (pid,) = [pid for pid, file in tagging(output, folder).items() if file == name(0)]
    with stopped([pid]):
        wait_until("all other commits", lambda: commits(output) == 3)
        wait_until("one worker", lambda: workers(output) == [pid])
        assert job.poll() is None
    report, code = end_job(job)
    assert (code, report["committed"], report["lost_workers"]) == (0, 4, 0)


def test_a_cluster_without_a_slot_ends_the_job_after_a_while(cluster, corpus, tmp_path):
    arguments = [corpus, "--output", tmp_path / "out", "--gpus-per-worker", 1, "--start-timeout", 3]
    report, code = end_job(start_job(cluster, *arguments))
    assert (code, report["committed"]) == (75, 0)
    (failed,) = report["failed"]
    assert failed["errors"] == ["no worker has started in 3 s: no node has 1 CPU and 1 GPU free"]


RECORDING = f"""#!/bin/sh
# Notes the GPUs of a worker, waits for another one to do so, and tags on the CPU.
if [ "$1" = worker ]; then
  echo "$CUDA_VISIBLE_DEVICES" > "$GPUS/$$"
  while [ "$(ls "$GPUS" | wc -l)" -lt 2 ]; do sleep 0.1; done
  for argument; do shift; [ "$argument" = cuda ] && argument=cpu; set -- "$@" "$argument"; done
fi
exec "{PROGRAM}" "$@"
"""


def test_each_worker_has_a_gpu_of_its_own(cluster, add_node, corpus, alone, tmp_path):
    output, gpus, program = tmp_path / "out", tmp_path / "gpus", tmp_path / "pubtag"
    gpus.mkdir()
    program.write_text(RECORDING.replace("$GPUS", str(gpus)))
    program.chmod(0o755)
    node = add_node(num_cpus=4, num_gpus=2)
    job = start_job(cluster, corpus, "--output", output, "--gpus-per-worker", 1, "--", *TINY, program=program)
    wait_until("two workers", lambda: len(workers(output)) == 2)
    with stopped(workers(output)):
        assert on_node(node, output) == workers(output), "all workers are where the GPUs are"
    report, code = end_job(job)
    assert (code, report["committed"], report["lost_workers"]) == (0, FILES, 0)
    assert sorted(file.read_text() for file in gpus.iterdir()) == ["0\n", "1\n"]
    assert_same_rows(output, alone)


def test_a_program_without_cuda_fails_at_once(cluster, add_node, corpus, tmp_path):
    add_node(num_cpus=2, num_gpus=2)
    report, code = end_job(start_job(cluster, corpus, "--output", tmp_path / "out", "--gpus-per-worker", 1))
    assert (code, report["committed"], report["retries"]) == (78, 0, 0)
    (failed,) = report["failed"]
    assert failed["input"] is None and "this build has no CUDA support" in failed["errors"][-1]
    assert report["lost_workers"] <= 2, "it is not tried again"


def test_workers_that_fail_to_start_are_tried_again_but_not_for_ever(cluster, corpus, tmp_path):
    program = tmp_path / "pubtag"
    program.write_text(f'#!/bin/sh\n[ "$1" = worker ] || exec "{PROGRAM}" "$@"\necho "the store is down" >&2\nexit 75\n')
    program.chmod(0o755)
    arguments = [corpus, "--output", tmp_path / "out", "--retries", 1]
    report, code = end_job(start_job(cluster, *arguments, program=program))
    assert (code, report["committed"], report["retries"]) == (75, 0, 0)
    (failed,) = report["failed"]
    assert failed["input"] is None and failed["errors"][-1] == "the store is down"
    assert 2 <= report["lost_workers"] <= 4, "two times on two slots"


def test_a_program_that_is_not_there_is_told_by_its_name():
    with pytest.raises(WorkerLost) as lost:
        Worker(["/no/such/pubtag", "worker"])
    assert (lost.value.exit_code, lost.value.log) == (126, ["/no/such/pubtag: No such file or directory"])
