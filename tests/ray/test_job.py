"""`pubtag-ray run` on a cluster of several nodes: its rows are those of one machine, whatever is killed."""

import json
import subprocess

import pytest
from conftest import (
    PROGRAM,
    assert_same_rows,
    commits,
    end_job,
    kill,
    on_node,
    run_alone,
    start_job,
    tagging,
    wait_until,
    workers,
    write_corpus,
)

FILES, ARTICLES = 8, 30
CITATIONS = (FILES + 3) * ARTICLES


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in") / "corpus"
    write_corpus(folder, FILES, ARTICLES)
    return folder


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """What one machine writes. The last file has citations of its own and some of no other."""
    output = tmp_path_factory.mktemp("alone") / "out"
    run_alone([corpus], output)
    return output


def test_a_job_commits_what_a_run_commits_and_a_second_one_nothing(cluster, corpus, alone, tmp_path):
    output, kept = tmp_path / "out", tmp_path / "report.json"
    report, code = end_job(start_job(cluster, corpus, "--output", output, "--publish", "--report", kept))
    assert (code, report["exit_code"], report["failed"]) == (0, 0, [])
    assert (report["inputs"], report["committed"], report["citations"]) == (FILES, FILES, CITATIONS)
    assert report["steps"] == {"verify": 0, "snapshot": 0}
    assert json.loads(kept.read_text()) == report
    assert_same_rows(output, alone)
    assert (output / "snapshot/latest.json").exists()
    assert workers(output) == [], "workers are released"

    manifest = tmp_path / "manifest.txt"
    manifest.write_text("\n".join(str(path) for path in sorted(corpus.iterdir())) + "\n\n")
    report, code = end_job(start_job(cluster, "--manifest", manifest, "--output", output, "--verify", "full"))
    assert (code, report["committed"], report["already_committed"]) == (0, 0, FILES)
    assert (report["citations"], report["tokens"]) == (CITATIONS, 0)
    assert_same_rows(output, alone)


def test_killed_workers_are_replaced_and_no_row_is_lost_or_doubled(cluster, corpus, alone, tmp_path):
    output = tmp_path / "out"
    job = start_job(cluster, corpus, "--output", output)
    killed = 0
    for after in (1, 3, 5):
        wait_until("commits and a worker", lambda: commits(output) >= after and workers(output) or job.poll() is not None)
        for pid in workers(output)[:1]:
            kill(pid)
            killed += 1
    report, code = end_job(job)
    assert killed > 0
    assert (code, report["committed"] + report["already_committed"], report["failed"]) == (0, FILES, [])
    # One that is killed before it has an input costs no retry.
    assert 0 < report["lost_workers"] <= killed and report["retries"] <= report["lost_workers"]
    assert_same_rows(output, alone)


def test_a_node_that_goes_takes_no_rows_with_it(cluster, add_node, corpus, alone, tmp_path):
    output = tmp_path / "out"
    node = add_node(num_cpus=2)
    job = start_job(cluster, corpus, "--output", output)
    wait_until("a worker on the node", lambda: on_node(node, output))
    cluster.remove_node(node, allow_graceful=False)
    report, code = end_job(job)
    assert (code, report["committed"] + report["already_committed"], report["failed"]) == (0, FILES, [])
    assert report["lost_workers"] > 0
    assert_same_rows(output, alone)


def test_a_driver_that_is_killed_is_started_again(cluster, corpus, alone, tmp_path):
    output = tmp_path / "out"
    job = start_job(cluster, corpus, "--output", output)
    wait_until("some commits", lambda: commits(output) >= 3)
    job.kill()
    job.wait()
    wait_until("the workers to end with the job", lambda: not workers(output))
    before = commits(output)
    assert before < FILES, "the job had ended before it was killed"
    report, code = end_job(start_job(cluster, corpus, "--output", output))
    assert (code, report["already_committed"]) == (0, before)
    assert report["committed"] == FILES - before
    assert_same_rows(output, alone)


def test_a_damaged_file_is_reported_and_all_others_are_committed(cluster, corpus, tmp_path):
    output, damaged = tmp_path / "out", tmp_path / "pubmed26n0099.xml.gz"
    whole = (corpus / "pubmed26n0001.xml.gz").read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    report, code = end_job(start_job(cluster, corpus, damaged, "--output", output, "--publish"))
    assert (code, report["committed"]) == (65, FILES)
    assert [failed["input"] for failed in report["failed"]] == [str(damaged)]
    assert report["retries"] == 0, "a damaged file is not tried again"
    assert "snapshot" not in report["steps"], "nothing incomplete is published"


def test_what_concerns_all_inputs_ends_the_job(cluster, corpus, tmp_path):
    job = start_job(cluster, corpus, "--output", tmp_path / "out", "--", "--model", tmp_path)
    report, code = end_job(job)
    assert (code, report["committed"], report["retries"]) == (78, 0, 0)
    (failed,) = report["failed"]
    assert failed["input"] is None and "config.json is missing" in failed["errors"][-1]
    job = start_job(cluster, tmp_path / "missing", "--output", tmp_path / "out")
    assert end_job(job) == ({}, 65)


def test_a_file_that_ends_its_workers_does_not_loop(cluster, tmp_path):
    """A worker that is always killed stands for a file that needs more memory than there is."""
    folder, output = tmp_path / "in", tmp_path / "out"
    write_corpus(folder, 1, 2_000)
    job = start_job(cluster, folder, "--output", output, "--retries", 1)
    for _ in range(2):
        wait_until("a worker", lambda: tagging(output, folder))
        for pid in tagging(output, folder):
            kill(pid)
        wait_until("its end", lambda: not workers(output))
    report, code = end_job(job)
    assert (code, report["committed"], report["lost_workers"], report["retries"]) == (75, 0, 2, 1)
    assert len(report["failed"]) == 1 and "137" in report["failed"][0]["errors"][0]


def test_inputs_are_those_of_pubtag(cluster, corpus):
    listed = subprocess.run([PROGRAM, "plan", "--list", corpus], capture_output=True, check=True, text=True)
    assert listed.stdout.splitlines() == sorted(str(path) for path in corpus.iterdir())
