"""The console script, and the same from Python."""

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.dataset
import pytest

import pubtag
from conftest import made

PUBTAG = Path(sys.executable).with_name("pubtag")
SAMPLE = Path(__file__).resolve().parents[2] / "deploy/sample/pubmed-sample.xml.gz"


def test_the_console_script_is_the_program():
    for arguments in (["--version"], ["--help"], ["run", "--help"], ["schema"], ["no-such-command"], ["run"]):
        ours = subprocess.run([PUBTAG, *arguments], capture_output=True)
        program = subprocess.run([os.environ["PUBTAG_PROGRAM"], *arguments], capture_output=True)
        name = lambda text: re.sub(rb"pubtag-under-test", b"pubtag", text)
        timeless = lambda text: re.sub(rb"\d{4}-\d\d-\d\dT\S+", b"", name(text))
        assert (ours.returncode, ours.stdout, timeless(ours.stderr)) == (
            program.returncode, name(program.stdout), timeless(program.stderr)), arguments


def test_the_versions_agree():
    assert pubtag.__version__ == importlib.metadata.version("pubtag")


def test_a_run_from_python_tags_and_verifies(tmp_path, capsys):
    output = tmp_path / "out"
    pubtag.cli.run(SAMPLE, "--output", output, "--device", "cpu", "--precision", "int8")
    assert "citations" in capsys.readouterr().err
    assert pyarrow.dataset.dataset(output / "annotations", format="parquet").count_rows() > 0
    pubtag.cli.verify(output)
    assert json.loads(pubtag.cli.call("inspect", output, "--json"))


def test_pubtag_ray_beside_it_runs_it(tmp_path):
    """Both in one environment, which is activated; the cluster is this machine."""
    activated = {"PATH": f"{PUBTAG.parent}:{os.environ['PATH']}", "RAY_ADDRESS": "local", "RAY_USAGE_STATS_ENABLED": "0"}
    command = ["pubtag-ray", "run", SAMPLE, "--output", tmp_path / "out"]
    printed = subprocess.run(command, env=os.environ | activated, check=True, stdout=subprocess.PIPE).stdout
    report = json.loads(printed)
    assert (report["committed"], report["failed"], report["steps"]) == (1, [], {"verify": 0})
    rows = pyarrow.dataset.dataset(tmp_path / "out/documents", format="parquet").count_rows()
    assert rows == report["citations"] + report["deletions"] > 0


def test_failures_are_exceptions_by_exit_code(tmp_path):
    with pytest.raises(pubtag.UsageError, match="missing required setting"):
        pubtag.cli.run()
    with pytest.raises(pubtag.ConfigurationError, match="nowhere"):
        pubtag.cli.run(SAMPLE, "--output", tmp_path / "out", "--model", tmp_path / "nowhere")
    with pytest.raises(pubtag.DataError, match="cannot be read"):
        pubtag.cli.train("--train", tmp_path / "x", "--base", tmp_path / "y", "--output", tmp_path / "z")


def test_a_corpus_is_evaluated(tmp_path):
    corpus = tmp_path / "gold.txt"
    corpus.write_text("1|t|Gout is rare.\n1|a|It hurts.\n1\t0\t4\tGout\tDisease\tD006073\n\n")
    scores = json.loads(pubtag.cli.evaluate("--gold", corpus, "--device", "cpu", "--json"))
    assert scores["entities"]["micro"]["f1"] == 1


def test_ctrl_c_finishes_the_file_and_exits_with_130(tmp_path):
    source = tmp_path / "texts.jsonl"
    with source.open("w") as lines:
        for number in range(20000):
            title, abstract = made(number)
            lines.write(json.dumps({"id": number, "title": title, "abstract": abstract}) + "\n")
    process = subprocess.Popen([PUBTAG, "run", source, "--output", tmp_path / "out", "--device", "cpu", "--grace", "1s"],
                               stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out/report.json").exists():
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130, errors
    assert "interrupted: finishing the current file" in errors


def test_a_closed_pipe_is_not_an_error():
    script = f"{PUBTAG} schema | head -1; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", script], stdout=subprocess.DEVNULL).returncode == 0
