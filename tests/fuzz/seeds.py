#!/usr/bin/env python3
"""Seeds for the fuzz targets, from the reference data: `seeds.py SHARED CORPUS_FOLDER`."""
import json
import pathlib
import sys

shared, corpus = map(pathlib.Path, sys.argv[1:])
fixtures = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
SIZE = 6000
count = {}


def seed(target, data):
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    count[target] = count.get(target, 0) + 1
    (folder / f"seed-{count[target]:04}").write_bytes(data)


def heads(pattern):
    for path in sorted(shared.glob(pattern)):
        if path.is_file():
            yield path.read_bytes()[:SIZE]


# `inputs`: 0 is auto-detected, then xml, jsonl, nbib, csv, tsv, parquet, lines, text.
for head in heads("data/pubmed_xml/*/*"):
    seed("inputs", b"\x00" + head)
    seed("inputs", b"\x81" + head)
for head in heads("data/medline/*/*"):
    seed("inputs", b"\x03" + head)
seed("inputs", b'\x02{"id": 1, "title": "Gout", "text": "Ataxia \\u03b2"}\n{"pmid": "7", "abstract": "x"}\n')
seed("inputs", b'\x04pmid,title,abstract\n1,"a, ""b""\nc",d\n')
seed("inputs", b"\x05id\ttext\n1\ta\n2\tb\n")
seed("inputs", b'\x05id\ttext\n1\t"Smart" drugs\n2\t"open\n3\t"a ""b"""\n')
seed("inputs", b'\x04id,title,text\n1,"open,a\n2,b",c\n3,"d",e\nk",z,"q\nk",z,"q\n')
seed("inputs", b"\x01<PubmedArticleSet><PubmedArticle><? <![CDATA[ <!DOCTYPE a [ <? ?></PubmedArticle>x<? </PubmedArticleSet>")
seed("inputs", b"\x07One line.\nAnother.\n")
try:
    import io

    import pyarrow
    import pyarrow.parquet

    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"id": ["1", "2"], "text": ["Gout", "Ataxia"]}), table)
    seed("inputs", b"\x06" + table.getvalue())
except ImportError:
    print("no pyarrow: no Parquet seed", file=sys.stderr)

# `corpora`: inline, pubtator, bioc-xml, bioc-json, iob, jsonl.
for kind, pattern in enumerate(
    ["data/ncbi_disease/inline/*", "data/ncbi_disease/pubtator/*.txt", "data/bioc/**/*.xml", "data/bioc/**/*.json",
     "data/ncbi_disease/iob/*"]
):
    for head in heads(pattern):
        seed("corpora", bytes([kind]) + head)
seed("corpora", b'\x05{"text": "Gout was seen.", "spans": [{"start": 0, "end": 4, "label": "Disease"}]}\n')

for text in ["Naïve 𝛽-thalassemia, gout; e\u0301pile\u0301psie 中文", "a" * 90, "[CLS] x [SEP]", "\u200b\u00ad x\x00y"]:
    seed("windows", text.encode())
    seed("decoder", text.encode() + bytes(range(0, 256, 5)))
# `writer`: decisions; small row groups and parts, then whatever comes.
for step in range(1, 40, 6):
    seed("writer", bytes([8, 1, 2, 0, 16, 0]) + bytes(at * step % 256 for at in range(3000)))
for name in ["tiny-bert", "tiny-distilbert", "tiny-electra", "tiny-mpnet", "tiny-roberta"]:
    files = [(fixtures / name / file) for file in ("config.json", "model.safetensors", "tokenizer.json")]
    config, *others = [file.read_bytes() for file in files if file.exists()]
    seed("checkpoint", b"\xff\xfe\xff".join([config, *others]))
    # Numbers that a program might take at their word.
    for key in [key for key, value in json.loads(config).items() if type(value) is int]:
        for number in (0, 2_000_000_000, 2**40, 2**60, 2**64 - 1):
            hostile = json.dumps(json.loads(config) | {key: number}).encode()
            seed("checkpoint", b"\xff\xfe\xff".join([hostile, *others]))
print(count, file=sys.stderr)
