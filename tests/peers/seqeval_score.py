"""Prints the micro-averaged seqeval scores of a file of `token expected found` lines: `seqeval_score.py FILE`."""
import json
import pathlib
import sys

from seqeval.metrics import classification_report

sentences = [block.splitlines() for block in pathlib.Path(sys.argv[1]).read_text("utf-8").strip("\n").split("\n\n")]
columns = [[line.rsplit(" ", 2)[1:] for line in sentence] for sentence in sentences]
expected, found = ([[pair[side] for pair in sentence] for sentence in columns] for side in (0, 1))
report = classification_report(expected, found, output_dict=True, zero_division=0)["micro avg"]
json.dump({name: float(value) for name, value in report.items()}, sys.stdout)
