#!/usr/bin/env python3
"""Split corpora into training and development files that share no documents, and select texts without annotations.

    python3 deploy/models/split.py CORPORA OUTPUT

CORPORA contains the PubTator files of NCBI Disease (ncbi_disease/pubtator) and AIONER (aioner/train, aioner/test), and
abstracts as JSON lines (unlabelled/abstracts.jsonl.gz). Writes <corpus>-train.txt, texts.jsonl, SHA256SUMS, and for the
first three corpora <corpus>-dev.txt, to OUTPUT. Development documents of BC5CDR and BioRED, and the texts, are selected by
the SHA-256 of their PMID; NCBI Disease keeps its own development set. No document of a test set, by PMID or text, is in
OUTPUT, and no document of a development file is in a training file or among the texts.
"""
import gzip
import hashlib
import json
import pathlib
import re
import sys

NCBI = "ncbi_disease/pubtator/NCBI{}set_corpus.txt"
TRAIN = {
    "ncbi": NCBI.format("train"),
    "bc5cdr": "aioner/train/BC5CDR_TrainDev.PubTator",
    "biored": "aioner/train/BioRED_TrainDev.PubTator",
    "gnormplus": "aioner/train/GNormPlus_Train.PubTator",
    "nlmgene": "aioner/train/NLMgene_Train.PubTator",
    "tmvar3": "aioner/train/tmVar3_Train.PubTator",
    "bioid": "aioner/train/BioID_Train_revision.PubTator",
}
# BioID has figure captions, most of which mention no cell line.
CAPTIONS_WITHOUT_MENTION = 500
DEV = {"ncbi": NCBI.format("develop")}
HELD_OUT = {"bc5cdr": 100, "biored": 80}
TEXTS = 8000
TEST = [NCBI.format("test"), "aioner/test/BC5CDR_Test.PubTator", "aioner/test/BioRED_Test.PubTator"]


class Document:
    """A record of a PubTator file: its lines, PMID, and text without the differences between editions."""

    def __init__(self, record: str):
        title, abstract = record.split("\n")[:2]
        self.record = record
        self.pmid, _, title = title.split("|", 2)
        self.text = re.sub(r"\W+", "", title + abstract.split("|", 2)[2]).lower()

    def rank(self) -> str:
        return hashlib.sha256(self.pmid.encode()).hexdigest()


def read(path: pathlib.Path) -> list[Document]:
    records = path.read_text(encoding="utf-8").replace("\r\n", "\n").split("\n\n")
    return [Document(record.strip("\n")) for record in records if record.strip()]


def unlabelled(path: pathlib.Path, held_out: list[Document], annotated: list[Document]) -> list[str]:
    """The lines of texts that are neither held out nor annotated, in the order of their SHA-256."""
    pmids, texts = {document.pmid for document in held_out + annotated}, {document.text for document in held_out}
    ranked = []
    for line in gzip.open(path, "rt", encoding="utf-8"):
        record = json.loads(line)
        text = re.sub(r"\W+", "", record["title"] + record["abstract"]).lower()
        if record["id"] not in pmids and text not in texts:
            ranked.append((hashlib.sha256(record["id"].encode()).hexdigest(), line))
    return [line for _, line in sorted(ranked)]


def captions(documents: list[Document]) -> list[Document]:
    """The captions that mention a cell line, and some of the others."""
    ranked = sorted(documents, key=lambda document: (document.record.count("\n") == 1, document.rank()))
    mentioning = sum(document.record.count("\n") > 1 for document in ranked)
    return ranked[: mentioning + CAPTIONS_WITHOUT_MENTION]


def without(documents: list[Document], others: list[Document]) -> list[Document]:
    pmids, texts = {other.pmid for other in others}, {other.text for other in others}
    return [document for document in documents if document.pmid not in pmids and document.text not in texts]


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    corpora, output = map(pathlib.Path, sys.argv[1:])
    output.mkdir(parents=True, exist_ok=True)
    test = [document for name in TEST for document in read(corpora / name)]
    train = {name: without(read(corpora / path), test) for name, path in TRAIN.items()}
    train["bioid"] = captions(train["bioid"])
    dev = {name: without(read(corpora / path), test) for name, path in DEV.items()}
    dev |= {name: sorted(train[name], key=Document.rank)[:count] for name, count in HELD_OUT.items()}
    held_out = [document for documents in dev.values() for document in documents]
    files = {f"{name}-train.txt": without(documents, held_out) for name, documents in train.items()}
    files |= {f"{name}-dev.txt": documents for name, documents in dev.items()}
    files = {name: [f"{document.record}\n\n" for document in documents] for name, documents in files.items()}
    annotated = [document for documents in train.values() for document in documents]
    files["texts.jsonl"] = unlabelled(corpora / "unlabelled/abstracts.jsonl.gz", test + held_out, annotated)[:TEXTS]
    sums = ""
    for name, records in sorted(files.items()):
        text = "".join(records).encode()
        (output / name).write_bytes(text)
        sums += f"{hashlib.sha256(text).hexdigest()}  {name}\n"
        print(f"{name}: {len(records)} documents", file=sys.stderr)
    (output / "SHA256SUMS").write_text(sums)


if __name__ == "__main__":
    main()
