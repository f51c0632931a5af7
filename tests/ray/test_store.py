"""`pubtag-ray run` from bucket to bucket, in a store that is busy: `tests/integration/ray.rs` starts it."""

import os
import subprocess

import pyarrow.fs
import pytest
import same_rows
from conftest import PROGRAM, TINY_MODEL, end_job, run_alone, start_job, write_corpus

FILES, ARTICLES = 8, 12
CITATIONS = (FILES + 3) * ARTICLES
WORKER = ["--model", TINY_MODEL, "--no-cache"]


@pytest.fixture
def bucket():
    """The URL of a bucket."""
    if "PUBTAG_BUCKET" not in os.environ:
        pytest.skip("no object store; run by tests/run --ray")
    return os.environ["PUBTAG_BUCKET"].rstrip("/")


def test_a_store_that_throttles_costs_time_and_no_rows(cluster, bucket, tmp_path, monkeypatch):
    folder, alone = tmp_path / "in", tmp_path / "alone"
    write_corpus(folder, FILES, ARTICLES)
    run_alone([folder], alone, "--model", TINY_MODEL)
    pyarrow.fs.copy_files(str(folder), f"{bucket.removeprefix('s3://')}/in", destination_filesystem=direct())

    output = f"{bucket}/out"
    job = start_job(cluster, f"{bucket}/in", "--output", output, "--verify", "full", "--publish", "--", *WORKER)
    report, code = end_job(job)
    assert (code, report["failed"], report["steps"]) == (0, [], {"verify": 0, "snapshot": 0})
    assert report["committed"] + report["already_committed"] == FILES
    assert report["citations"] == CITATIONS
    # Ray may still count the slots of a node that has gone, and workers are lost there.
    most = 2 + report["lost_workers"]
    assert report["retries"] <= most, "at most two broken connections and lost workers are left to the job"

    monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["PUBTAG_BUCKET_ENDPOINT"])
    parts = tmp_path / "parts"
    with parts.open("w") as list:
        for table in same_rows.TABLES:
            subprocess.run([PROGRAM, "inspect", output, "--parts", table], stdout=list, check=True)
    same_rows.main(str(parts), str(alone))


def direct():
    """The store without what goes wrong in between."""
    keys = {"access_key": os.environ["AWS_ACCESS_KEY_ID"], "secret_key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    return pyarrow.fs.S3FileSystem(**keys, region="us-east-1", endpoint_override=os.environ["PUBTAG_BUCKET_ENDPOINT"])
