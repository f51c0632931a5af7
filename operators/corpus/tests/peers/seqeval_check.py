"""Compares pubtag's scores of tag sequences with those of seqeval (1.2.2).

Reads one JSON object per line: {"mode": "default" | "strict", "expected": [[tag]], "found": [[tag]],
"scores": {"categories": {name: score}, "micro": score, "macro": score, "weighted": score}} with
score = {"precision", "recall", "f1", "support"}. Exits with status 1 at the first difference above 1e-9.
"""

import json
import sys
import warnings

from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

KEYS = {"precision": "precision", "recall": "recall", "f1-score": "f1", "support": "support"}


def main():
    warnings.filterwarnings("ignore")
    checked = 0
    for line in sys.stdin:
        case = json.loads(line)
        options = {"mode": "strict", "scheme": IOB2} if case["mode"] == "strict" else {}
        theirs = classification_report(case["expected"], case["found"], output_dict=True, **options)
        scores = case["scores"]
        ours = {name: score for name, score in scores["categories"].items()}
        ours.update({f"{name} avg": scores[name] for name in ("micro", "macro", "weighted")})
        if set(ours) != set(theirs):
            sys.exit(f"categories differ: {sorted(ours)} and {sorted(theirs)} in {line}")
        for name, score in theirs.items():
            for key, our_key in KEYS.items():
                if abs(score[key] - ours[name][our_key]) > 1e-9:
                    sys.exit(f"{name} {key}: {ours[name][our_key]} and {score[key]} in {line}")
        checked += 1
    print(f"{checked} cases agree with seqeval")


if __name__ == "__main__":
    main()
