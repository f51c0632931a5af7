#!/usr/bin/env python3
"""Strict precision, recall and F1 of a model on annotated corpora, measured through `pubtag run`.

    tests/peers/through_run.py GOLD... --pubtag BIN [--model DIR] [--map FROM=TO]... [--types TYPE...] [--json]
        [--errors N [--seen TRAIN...]] [-- OPTIONS OF pubtag run]

    through_run.py NCBItestset_corpus.txt --pubtag target/release/pubtag
    through_run.py BioRED_Test.PubTator --pubtag pubtag --types Disease -- --precision int8

GOLD is a PubTator file. Its documents are converted to JSONL and tagged by `pubtag run`, and the rows of `annotations` are
read with pyarrow. A mention is correct if its document, boundaries and type are those of a mention in GOLD; each place
counts once per type. The four categories of NCBI Disease and `DiseaseOrPhenotypicFeature` of BioRED count as `Disease`;
`--map` renames other types, both in GOLD and in the rows. Without `--types`, all types that occur both in GOLD and in the
rows are scored. `--errors N` counts the errors by class and prints N of each; `--seen` names the training corpora, to
identify unseen mentions. Needs pyarrow.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import pyarrow.dataset

import error_classes

ONE_TYPE = {name: "Disease" for name in
            ("SpecificDisease", "DiseaseClass", "CompositeMention", "Modifier", "DiseaseOrPhenotypicFeature")}
TEXT = re.compile(r"([^|\t]+)\|([ta])\|(.*)")


def documents(path):
    """Yields documents as dictionaries: id, title, abstract, and mentions as (start, end, type) in characters."""
    for block in re.split(r"\n\n+", path.read_text("utf-8").strip("\n")):
        document = {"title": "", "abstract": "", "mentions": set()}
        for line in block.split("\n"):
            text = TEXT.fullmatch(line)
            if text:
                document["id"] = text[1]
                document["title" if text[2] == "t" else "abstract"] = text[3]
            else:
                columns = line.split("\t")
                if len(columns) >= 5 and columns[1].isdigit():  # otherwise a relation
                    document["mentions"].add((int(columns[1]), int(columns[2]), columns[4]))
        yield document


def read_gold(paths):
    """Texts by document id, and all mentions. Repeated documents count once."""
    texts, mentions = {}, set()
    for document in (document for path in paths for document in documents(path)):
        fields = {name: document[name] for name in ("id", "title", "abstract")}
        if texts.setdefault(document["id"], fields) != fields:
            sys.exit(f"{document['id']} occurs twice with different texts; score the files separately")
        mentions |= {(document["id"], *mention) for mention in document["mentions"]}
    return texts, mentions


def tag(texts, options):
    """The mentions that `pubtag run` finds, and the seconds it takes."""
    with tempfile.TemporaryDirectory() as work:
        source, output = pathlib.Path(work, "gold.jsonl"), pathlib.Path(work, "out")
        source.write_text("".join(json.dumps(text) + "\n" for text in texts.values()), "utf-8")
        command = [options.pubtag, "run", source, "--output", output, "--max-rejects", "0", "--quiet", *options.run]
        started = time.perf_counter()
        subprocess.run(command + (["--model", options.model] if options.model else []), check=True,
                       stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        subprocess.run([options.pubtag, "verify", output, "--quiet"], check=True)

        def rows(table, *columns):
            dataset = pyarrow.dataset.dataset(output / table, format="parquet", partitioning=None)
            return [tuple(row.values()) for row in dataset.to_table(list(columns)).to_pylist()]

        tagged = {doc_id for (doc_id,) in rows("documents", "doc_id")}
        if tagged != set(texts):
            sys.exit(f"only {len(tagged)} of {len(texts)} documents were tagged")
        return set(rows("annotations", "doc_id", "start_char", "end_char", "label")), seconds


def score(gold, found):
    right = len(gold & found)
    precision, recall = right / max(len(found), 1), right / max(len(gold), 1)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "gold": len(gold), "found": len(found), "right": right}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gold", nargs="+", type=pathlib.Path)
    parser.add_argument("--pubtag", required=True)
    parser.add_argument("--model", help="default: the bundled model")
    parser.add_argument("--map", action="append", default=[], metavar="FROM=TO")
    parser.add_argument("--types", nargs="+")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--errors", type=int, metavar="N")
    parser.add_argument("--seen", nargs="+", type=pathlib.Path, default=[], metavar="TRAIN")
    ours, run = sys.argv[1:], []
    if "--" in ours:
        ours, run = ours[:ours.index("--")], ours[ours.index("--") + 1:]
    options = parser.parse_args(ours)
    options.run = run
    names = ONE_TYPE | dict(pair.split("=", 1) for pair in options.map)

    def renamed(mentions):
        return {(*place, names.get(kind, kind)) for *place, kind in mentions}

    texts, gold = read_gold(options.gold)
    found, seconds = tag(texts, options)
    gold, found = renamed(gold), renamed(found)
    known = {kind for *_, kind in gold}
    types = options.types or sorted(known & {kind for *_, kind in found} or known)

    def of(mentions, kinds):
        return {mention for mention in mentions if mention[3] in kinds}

    scores = {kind: score(of(gold, [kind]), of(found, [kind])) for kind in types}
    if len(types) > 1:
        scores["all"] = score(of(gold, types), of(found, types))
    if options.json:
        print(json.dumps({"gold": [path.name for path in options.gold], "documents": len(texts), "seconds": seconds,
                          "scores": scores}))
        return
    print(f"{', '.join(path.name for path in options.gold)}: {len(texts)} documents in {seconds:.1f} s")
    for kind, line in scores.items():
        print(f"  {kind:20} P {line['precision']:.4f}  R {line['recall']:.4f}  F1 {line['f1']:.4f}"
              f"  ({line['right']} correct of {line['found']} found, {line['gold']} in gold)")
    for kind, count in sorted(collections.Counter(kind for *_, kind in gold).items()):
        if kind not in types:
            print(f"  {kind:20} not scored: {count} in gold")
    if options.errors is not None:
        classes = error_classes.classify(of(gold, types), of(found, types), texts, seen_mentions(options.seen))
        print("\n".join(error_classes.report(classes, texts, options.errors)))


def seen_mentions(paths):
    """The texts of all mentions, in lower case."""
    seen = set()
    for document in (document for path in paths for document in documents(path)):
        text = document["title"] + "\n" + document["abstract"]
        seen |= {text[start:end].lower() for start, end, _ in document["mentions"]}
    return seen


main()
