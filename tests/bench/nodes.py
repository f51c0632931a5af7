"""`pubtag-ray` on clusters of several nodes of one CPU each, against `pubtag run`: throughput.

    nodes.py PROGRAM TEXTS.jsonl.gz [DOCUMENTS] [FILES] [NODES...]

Runs in an environment with Ray, DuckDB and `pubtag-ray`. TEXTS has `id`, `title` and `abstract`; DOCUMENTS of them are split
into FILES. All use int8, without a cache; a worker has one thread. The rows of each output are compared with those of a run
(tests/readers/same_rows.py). The time of a job includes the start of its actors and the loading of their models. Clusters with
more nodes than this machine has CPUs say what distribution costs, not how fast it is.
"""

import gzip
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from ray.cluster_utils import Cluster

OPTIONS = ["--precision", "int8", "--no-cache"]
COMPARE = pathlib.Path(__file__).parents[1] / "readers/same_rows.py"


def split(texts, documents, files, folder):
    folder.mkdir()
    with gzip.open(texts, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in itertools.islice(lines, documents)]
    for file in range(files):
        part = (json.dumps({name: record[name] for name in ("id", "title", "abstract")}) for record in records[file::files])
        (folder / f"part-{file:03}.jsonl").write_text("\n".join(part) + "\n")
    return len(records)


def run(program, corpus, output, threads):
    """Seconds that a run takes."""
    started = time.monotonic()
    call = [program, "run", corpus, "--output", output, "--threads", str(threads), "--device", "cpu", "--quiet"]
    subprocess.run([*call, *OPTIONS], check=True)
    return time.monotonic() - started


def job(program, corpus, output, nodes):
    """Seconds of a job on a running cluster, and its report."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        call = [pathlib.Path(sys.executable).with_name("pubtag-ray"), "run", corpus, "--output", output, "--program", program]
        started = time.monotonic()
        done = subprocess.run(
            [*call, "--address", cluster.address, "--verify", "off", "--quiet", "--", *OPTIONS],
            check=True, stdout=subprocess.PIPE,
        )
        seconds = time.monotonic() - started
    finally:
        cluster.shutdown()
    return seconds, json.loads(done.stdout)


def main(program, texts, documents="2000", files="16", *nodes):
    work = pathlib.Path(tempfile.mkdtemp())
    corpus, alone = work / "in", work / "alone"
    count = split(texts, int(documents), int(files), corpus)
    for threads in (1, 2):
        output = alone if threads == 1 else work / "alone-2"
        seconds = run(program, corpus, output, threads)
        print(f"run --threads {threads}: {seconds:.1f} s, {count / seconds:.1f} documents/s", flush=True)
    for number in map(int, nodes or ("1", "2", "4")):
        output = work / f"out-{number}"
        seconds, report = job(program, corpus, output, number)
        subprocess.run([sys.executable, COMPARE, output, alone], check=True)
        print(
            f"{number} nodes: {seconds:.1f} s, {count / seconds:.1f} documents/s, "
            f"{report['committed']} commits, {report['retries']} retries, rows equal",
            flush=True,
        )


main(*sys.argv[1:])
