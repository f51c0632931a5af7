"""Prints the logits of a saved model in `transformers`: `logits.py MODEL < ids.json > logits.json`.

Standard input is a list of lists of token ids; standard output has a `[tokens][labels]` array for each.
"""
import json
import sys

import torch
from transformers import AutoModelForTokenClassification

model = AutoModelForTokenClassification.from_pretrained(sys.argv[1]).float().eval()
with torch.no_grad():
    found = [model(torch.tensor([ids])).logits[0].tolist() for ids in json.load(sys.stdin)]
json.dump(found, sys.stdout)
