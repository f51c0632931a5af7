"""The Kubernetes manifests: valid, and their arguments are accepted by the program and do what they say."""

import subprocess

import kubernetes_validate
import pytest
import yaml
from conftest import PROGRAM, ROOT, assert_same_rows, run_alone, write_corpus

MANIFESTS = ROOT / "deploy/kubernetes"
VERSION = "1.37"


def documents(name):
    return list(yaml.safe_load_all((MANIFESTS / name).read_text()))


def container(job):
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


@pytest.mark.parametrize("name", ["corpus.yaml", "nightly.yaml"])
def test_manifests_follow_the_schemas(name):
    for document in documents(name):
        kubernetes_validate.validate(document, VERSION, strict=True)


def rules(job):
    """What becomes of a job, by exit code; None for everything that is tried again and counted."""
    actions = {}
    for rule in job["spec"]["podFailurePolicy"]["rules"]:
        assert rule.get("onExitCodes", {}).get("containerName", "pubtag") == container(job)["name"]
        actions |= {code: rule["action"] for code in rule.get("onExitCodes", {}).get("values", [])}
    return actions


def test_exit_codes_lead_to_what_the_page_says():
    (corpus,) = documents("corpus.yaml")
    assert rules(corpus) == {2: "FailJob", 78: "FailJob", 65: "FailIndex", 70: "FailIndex", 75: "Count"}
    nightly = documents("nightly.yaml")[-1]["spec"]["jobTemplate"]
    assert rules(nightly) == {code: "FailJob" for code in (2, 65, 70, 78)}
    for job in (corpus, nightly):
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never", "a policy needs that"


def test_the_parts_of_the_job_are_the_whole_corpus(tmp_path):
    (job,) = documents("corpus.yaml")
    parts = job["spec"]["completions"]
    assert job["spec"]["parallelism"] <= parts and job["spec"]["maxFailedIndexes"] == parts
    write_corpus(tmp_path / "in", 6, 4)
    alone, output = tmp_path / "alone", tmp_path / "out"
    run_alone([tmp_path / "in"], alone)
    places = {"s3://lake/pubmed/baseline": str(tmp_path / "in"), "--output=s3://lake/annotations": f"--output={output}"}
    arguments = [places.get(argument, argument) for argument in container(job)["args"]]
    arguments.remove("s3://lake/pubmed/updatefiles")
    assert str(tmp_path / "in") in arguments and f"--output={output}" in arguments
    for index in range(parts):
        shard = [argument.replace("$(JOB_COMPLETION_INDEX)", str(index)) for argument in arguments]
        subprocess.run([PROGRAM, *shard, "--device=cpu", "--quiet"], check=True)
    assert_same_rows(output, alone)


def test_the_settings_of_the_night_are_valid(tmp_path):
    settings, _, night = documents("nightly.yaml")
    file = tmp_path / "night.toml"
    file.write_text(settings["data"]["night.toml"])
    pod = night["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "settings"]
    assert pod["containers"][0]["args"][:2] == ["nightly", f"--config={mount['mountPath']}/night.toml"]
    shown = [PROGRAM, "config", "show", "nightly", "--config", file]
    assert "s3://lake/annotations" in subprocess.run(shown, capture_output=True, check=True, text=True).stdout
