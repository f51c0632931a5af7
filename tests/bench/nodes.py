"""`pubtag-ray` on clusters of several nodes of one CPU each, against `pubtag run`: throughput and CPU time.

    nodes.py PROGRAM TEXTS.jsonl.gz [DOCUMENTS] [FILES] [NODES...]

Runs in an environment with Ray, DuckDB and `pubtag-ray`. TEXTS has `id`, `title` and `abstract`; DOCUMENTS of them are split
into FILES. All use int8, without a cache; a worker has one thread. The rows of each output are compared with those of a run
(tests/readers/same_rows.py). The CPU time is that of the workers, without Ray. Clusters with more nodes than this machine has
CPUs say what distribution costs, not how fast it is.
"""

import gzip
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from ray.cluster_utils import Cluster

OPTIONS = ["--precision", "int8", "--no-cache"]
COMPARE = pathlib.Path(__file__).parents[1] / "readers/same_rows.py"

# The worker's log of times outlives it: its actor is killed, which closes its standard input.
TIMED = """#!/usr/bin/env python3
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([{program!r}, *sys.argv[1:]])
_, status, used = os.wait4(child.pid, 0)
if sys.argv[1] == "worker":
    with open({times!r}, "a") as times:
        times.write(f"{{used.ru_utime + used.ru_stime}}\\n")
sys.exit(os.waitstatus_to_exitcode(status))
"""


def split(texts, documents, files, folder):
    folder.mkdir()
    with gzip.open(texts, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in itertools.islice(lines, documents)]
    for file in range(files):
        part = (json.dumps({name: record[name] for name in ("id", "title", "abstract")}) for record in records[file::files])
        (folder / f"part-{file:03}.jsonl").write_text("\n".join(part) + "\n")
    return len(records)


def run(program, corpus, output, threads):
    """Seconds of clock and CPU."""
    started = time.monotonic()
    call = [program, "run", corpus, "--output", output, "--threads", str(threads), "--device", "cpu", "--quiet"]
    child = subprocess.Popen([*call, *OPTIONS])
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"pubtag run ended with status {status}")
    return time.monotonic() - started, used.ru_utime + used.ru_stime


def job(program, corpus, output, nodes, work):
    """Seconds of clock, from a cluster that stands to the report, and of the workers' CPU; and the report."""
    times, timed = work / f"times-{nodes}", work / f"timed-{nodes}"
    timed.write_text(TIMED.format(program=program, times=str(times)))
    timed.chmod(0o755)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        call = [pathlib.Path(sys.executable).with_name("pubtag-ray"), "run", corpus, "--output", output, "--program", timed]
        started = time.monotonic()
        done = subprocess.run(
            [*call, "--address", cluster.address, "--verify", "off", "--quiet", "--", *OPTIONS],
            check=True, stdout=subprocess.PIPE,
        )
        seconds = time.monotonic() - started
        # The last workers end after the job.
        time.sleep(3)
    finally:
        cluster.shutdown()
    return seconds, sum(map(float, times.read_text().split())), json.loads(done.stdout)


def main(program, texts, documents="2000", files="16", *nodes):
    work = pathlib.Path(tempfile.mkdtemp())
    corpus, alone = work / "in", work / "alone"
    count = split(texts, int(documents), int(files), corpus)
    for threads in (1, 2):
        output = alone if threads == 1 else work / "alone-2"
        seconds, cpu = run(program, corpus, output, threads)
        print(f"run --threads {threads}: {seconds:.1f} s, {count / seconds:.1f} documents/s, {cpu:.1f} s of CPU", flush=True)
    for number in map(int, nodes or ("1", "2", "4")):
        output = work / f"out-{number}"
        seconds, cpu, report = job(program, corpus, output, number, work)
        subprocess.run([sys.executable, COMPARE, output, alone], check=True)
        print(
            f"{number} nodes: {seconds:.1f} s, {count / seconds:.1f} documents/s, {cpu:.1f} s of CPU, "
            f"{report['committed']} commits, {report['retries']} retries, rows equal",
            flush=True,
        )


main(*sys.argv[1:])
