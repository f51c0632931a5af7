#!/usr/bin/env python3
"""Peak memory of `pubtag run` by the length of its input: `memory.py PUBTAG MODEL [CITATIONS…]`.

Writes gzipped files of 2,000 made-up citations of PubMed's length each, runs, and prints a line for each number of
citations: seconds and the largest resident set. What each run wrote is verified, outside of its time. Needs no package.
"""
import gzip
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

FILE = 2000
WORDS = ("patients with hereditary ataxia and colon cancer were seen in a study of familial gout the expression of genes in "
         "mice was increased by treatment compared to controls results suggest that deficiency of protein").split()


def article(number, draw):
    text = " ".join(draw.choice(WORDS) for _ in range(draw.randint(120, 300)))
    return (f"<PubmedArticle><MedlineCitation><PMID Version=\"1\">{number}</PMID><Article><ArticleTitle>Case {number}."
            f"</ArticleTitle><Abstract><AbstractText>{text}.</AbstractText></Abstract></Article></MedlineCitation>"
            "</PubmedArticle>\n")


def write(folder, citations):
    draw = random.Random(1)
    for file in range(-(-citations // FILE)):
        numbers = range(file * FILE + 1, min(citations, (file + 1) * FILE) + 1)
        with gzip.open(folder / f"pubmed26n{file + 1:04}.xml.gz", "wt", compresslevel=1) as out:
            out.write("<PubmedArticleSet>\n" + "".join(article(number, draw) for number in numbers) + "</PubmedArticleSet>\n")


def peak(pubtag, model, folder, output):
    """Seconds and MiB of one run."""
    started = time.perf_counter()
    child = subprocess.Popen([pubtag, "run", str(folder), "--output", str(output), "--model", model, "--device", "cpu", "--quiet"])
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"the run ended with status {status}")
    subprocess.run([pubtag, "verify", str(output), "--quiet"], check=True)
    return seconds, usage.ru_maxrss / 1024


pubtag, model, *sizes = sys.argv[1:]
print("| citations | seconds | peak MiB |\n|---|---|---|")
for citations in map(int, sizes or ["5000", "50000", "200000"]):
    with tempfile.TemporaryDirectory() as work:
        inputs = pathlib.Path(work) / "in"
        inputs.mkdir()
        write(inputs, citations)
        seconds, mebibytes = peak(pubtag, model, inputs, pathlib.Path(work) / "out")
        print(f"| {citations} | {seconds:.1f} | {mebibytes:.0f} |", flush=True)
