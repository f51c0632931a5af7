"""Shared by the tests of the wheel, which run in an environment where it is installed: `tests/run --wheel`.

`PUBTAG_PROGRAM` is the program that its mentions are compared with, `PUBTAG_SHARED` the reference data.
"""

import gzip
import itertools
import json
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

import pubtag

FIELDS = ["section", "start_char", "end_char", "start_byte", "end_byte", "mention", "label", "score", "source"]
"""The columns of `annotations` that a mention has, in order."""

HARD = [
    ("𝛽-catenin 癌症 cafe\u0301", "Naïve ﬁbrosis\u00a0of the \U0001f9ec gene, then ataxia\u2009type 2 and gout."),
    ("", "Huntington disease (HD) is rare. Patients with HD have chorea."),
    ("Familial Mediterranean fever (FMF)", ""),
    ("", ""),
    ("A title without a stop", None),
    (None, "Only an abstract, about cystic fibrosis."),
    (None, None),
    ("Colon cancer. " * 40, "Hereditary ataxia was seen in 12 patients with breast cancer. " * 400),
    ("", "Familial gout (FaGo) was studied. The FaGo gene encodes the FaGo protein."),
]


def made(number):
    """A text that depends on its number."""
    diseases = ["Hereditary ataxia", "colon cancer", "β-thalassemia", "myopia", "familial gout", "Marfan syndrome (MFS)"]
    pick = lambda salt: diseases[(number * 2654435761 >> salt) % len(diseases)]
    sentences = [f"{pick(salt)} was seen with {pick(salt + 3)}, case {number}." for salt in range(2 + number % 9)]
    return f"A case of {pick(7)}, no. {number}", " ".join(sentences)


def abstracts(count):
    """Titles and abstracts of PubMed, or generated ones without the reference data."""
    file = Path(os.environ.get("PUBTAG_SHARED", "")) / "data/unlabelled/abstracts.jsonl.gz"
    if not file.is_file():
        return [made(number) for number in range(count)]
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        records = map(json.loads, itertools.islice(lines, count))
        return [(record["title"], record["abstract"]) for record in records]


@pytest.fixture(scope="session")
def documents():
    """330 documents: id, title and abstract."""
    texts = HARD + abstracts(330 - len(HARD))
    titles, bodies = zip(*texts)
    ids = pa.array([f"d{number}" for number in range(len(texts))])
    return pa.table({"id": ids, "title": pa.array(titles, pa.string()), "abstract": pa.array(bodies, pa.string())})


@pytest.fixture(scope="session")
def tagger():
    """A tagger with the bundled model."""
    return pubtag.Tagger(device="cpu", precision="int8")


@pytest.fixture(scope="session")
def of_a_run(documents, tmp_path_factory):
    """What `pubtag run` finds in the same documents: mentions by document id."""
    folder = tmp_path_factory.mktemp("run")
    pyarrow.parquet.write_table(documents, folder / "documents.parquet")
    program = os.environ["PUBTAG_PROGRAM"]
    arguments = ["run", folder / "documents.parquet", "--output", folder / "out", "--device", "cpu", "--precision", "int8"]
    # One document has no text at all: a run rejects it.
    subprocess.run([program, *arguments, "--quiet", "--max-rejects", "1"], check=True)
    table = pa.dataset.dataset(folder / "out/annotations", format="parquet").to_table(columns=["doc_id", *FIELDS])
    found = {}
    for row in table.sort_by([("doc_id", "ascending"), ("start_byte", "ascending")]).to_pylist():
        found.setdefault(row.pop("doc_id"), []).append(row)
    return found
