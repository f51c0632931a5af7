#!/usr/bin/env python3
"""`pubtag.Tagger` against `pubtag run`: seconds of processor and clock per document, in turns.

    tagger.py PUBTAG TEXTS.jsonl.gz [DOCUMENTS] [ROUNDS]

Runs in an environment with the wheel and pyarrow. TEXTS has `id`, `title` and `abstract`. Each measurement is the difference
between a process that tags DOCUMENTS + 50 documents and one that tags 50, so that starting and loading cancel out. The
mentions of both are counted, and must agree. Both use int8 on two threads, and the run has no cache.
"""
import gzip
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

FEW = 50
OPTIONS = ["--precision", "int8", "--threads", "2", "--device", "cpu"]
TAG = """
import sys, pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq, pubtag
tagger = pubtag.Tagger(precision="int8", threads=2, device="cpu")
tagged = pa.table(tagger.tag(pq.ParquetFile(sys.argv[1]).iter_batches(batch_size=1024)))
print(pc.sum(pc.list_value_length(tagged["annotations"])).as_py())
"""


def spent(command):
    """Seconds of processor and clock, and what was printed."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[0]} ended with status {status}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - started, printed


def by_run(program, file, work):
    output = work / f"out-{time.time_ns()}"
    processor, clock, _ = spent([program, "run", file, "--output", output, "--no-cache", "--quiet", *OPTIONS])
    return processor, clock, pa.dataset.dataset(output / "annotations", format="parquet").count_rows()


def by_tagger(file):
    processor, clock, printed = spent([sys.executable, "-c", TAG, file])
    return processor, clock, int(printed)


def main(program, texts, documents="600", rounds="5"):
    work = pathlib.Path(tempfile.mkdtemp())
    with gzip.open(texts, "rt", encoding="utf-8") as lines:
        table = pa.Table.from_pylist([json.loads(line) for line in itertools.islice(lines, int(documents) + FEW)])
    many, few = work / "many.parquet", work / "few.parquet"
    pa.parquet.write_table(table.select(["id", "title", "abstract"]), many)
    pa.parquet.write_table(table.slice(0, FEW).select(["id", "title", "abstract"]), few)
    ways = {"run": lambda file: by_run(program, file, work), "tagger": by_tagger}
    found = {way: [] for way in ways}
    for number in range(int(rounds)):
        for way in list(ways)[:: 1 if number % 2 else -1]:
            more, less = ways[way](many), ways[way](few)
            found[way].append((more[0] - less[0], more[1] - less[1], more[2]))
            print(f"{way}: {found[way][-1][0]:.2f} s of processor, {found[way][-1][1]:.2f} s, {more[2]} mentions", flush=True)
    if len({mentions for turns in found.values() for _, _, mentions in turns}) != 1:
        sys.exit("the mentions differ")
    for name, at in (("processor", 0), ("clock", 1)):
        run, tagger = (statistics.median(turn[at] for turn in found[way]) for way in ways)
        print(f"{name}: run {run:.2f} s, tagger {tagger:.2f} s for {documents} documents, ratio {tagger / run:.3f}")


main(*sys.argv[1:])
