"""A cluster on this machine, corpora, and calls of the programs."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["PUBTAG_PROGRAM"]

TINY_MODEL = ROOT / "tests/fixtures/tiny-bert"

PUBTAG_RAY = Path(sys.executable).with_name("pubtag-ray")
"""`pubtag-ray`, as pip installed it from `deploy/ray`."""

# Ray's processes, and those of the workers, inherit this.
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.pop("PUBTAG_MODEL", None)
sys.path.insert(0, str(ROOT / "tests/readers"))

import same_rows  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

SUBJECTS = ["Hereditary ataxia", "Colon cancer", "β-thalassemia", "Myopia", "Familial gout", "Huntington disease (HD)"]


@pytest.fixture(scope="session")
def cluster():
    """A head without processors, and two nodes with one each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture
def add_node(cluster):
    """Adds nodes that go at the end of the test, unless they have gone before."""
    added = []

    def add(**resources):
        added.append(cluster.add_node(**resources))
        cluster.wait_for_nodes()
        return added[-1]

    yield add
    for node in added:
        if node in cluster.worker_nodes:
            cluster.remove_node(node, allow_graceful=False)


def article(number):
    sentences = [
        f"{SUBJECTS[(number * 7 + salt) % len(SUBJECTS)]} was seen in {number + salt} patients with {SUBJECTS[salt % 5].lower()}."
        for salt in range(3 + number % 9)
    ]
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{910000000 + number}</PMID><Article>'
        f"<ArticleTitle>{sentences[0]}</ArticleTitle><Abstract><AbstractText>{' '.join(sentences)}</AbstractText></Abstract>"
        f"<Language>eng</Language></Article></MedlineCitation></PubmedArticle>\n"
    )


def write_file(path, first, count):
    text = "".join(article(first + number) for number in range(count))
    path.write_bytes(gzip.compress(f"<PubmedArticleSet>\n{text}</PubmedArticleSet>\n".encode(), mtime=0))


def write_corpus(folder, files, articles):
    """Files named as PubMed names them; the last is four times as large as the others."""
    folder.mkdir()
    for file in range(files):
        size = articles * (4 if file == files - 1 else 1)
        write_file(folder / f"pubmed26n{file + 1:04}.xml.gz", file * articles, size)


def run_alone(inputs, output, *options):
    """The same on this machine, by `pubtag run`."""
    subprocess.run([PROGRAM, "run", *inputs, "--output", output, "--device", "cpu", "--quiet", *options], check=True)


JOBS = []


def start_job(cluster, *arguments, program=PROGRAM):
    """Starts `pubtag-ray run`."""
    command = [PUBTAG_RAY, "run", "--program", program, "--address", cluster.address, *arguments]
    JOBS.append(subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True))
    return JOBS[-1]


@pytest.fixture(autouse=True)
def no_job_outlives_its_test():
    yield
    while JOBS:
        JOBS.pop().kill()


def end_job(job):
    """Waits; returns the report and the exit code."""
    stdout, _ = job.communicate(timeout=1800)
    report = json.loads(stdout or "{}")
    RECORD.append((os.environ["PYTEST_CURRENT_TEST"].split("::")[1].split()[0], job.returncode, report))
    return report, job.returncode


RECORD = []
"""Test, exit code and report of each job."""


def pytest_terminal_summary(terminalreporter):
    """What became of all jobs."""
    columns = ["committed", "already_committed", "retries", "lost_workers", "citations", "annotations"]
    terminalreporter.write_line(f"{'exit code':>10} " + " ".join(f"{name:>17}" for name in columns) + "  test")
    for test, code, report in RECORD:
        terminalreporter.write_line(f"{code:>10} " + " ".join(f"{report.get(name, '-'):>17}" for name in columns) + f"  {test}")


def workers(output):
    """The processes of `pubtag worker` that write to an output."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_text().split("\0")
            state = (process / "stat").read_text().rsplit(") ", 1)[1][0]
        except (OSError, IndexError):
            continue
        if command[1:2] == ["worker"] and str(output) in command and state != "Z":
            found.append(int(process.name))
    return found


def tagging(output, folder):
    """Those that have a file of a folder open, and its name. A small file is not open for long."""
    return {pid: path.name for pid in workers(output) for path in open_files(pid) if path.parent == folder}


def open_files(pid):
    """What a process has open; nothing if it has ended."""
    try:
        return [entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def on_node(node, output):
    """Those of a node: children of Ray's workers, which are children of its raylet."""
    raylet = node.all_processes["raylet"][0].process.pid
    return [pid for pid in workers(output) if parent(parent(pid)) == raylet]


def parent(pid):
    """The parent of a process; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    except OSError:
        return 0


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def commits(output):
    return len(list(Path(output).glob("_pubtag/commits/*.json")))


def wait_until(what, holds, seconds=600):
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def assert_same_rows(one, other):
    """DuckDB reads the same rows from both, and `pubtag verify` finds no defect."""
    same_rows.main(str(one), str(other))
    subprocess.run([PROGRAM, "verify", str(one), "--quiet"], check=True)
