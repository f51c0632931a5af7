"""Opens a masked language model in `transformers`: `masked_language.py MODEL TEXT`, where TEXT has masks.

Prints a JSON object: the names of parameters that the file lacks, or has too many; whether decoder and embeddings share their
table; and the most probable token at each mask.
"""
import json
import sys

import torch
from transformers import AutoTokenizer, BertForMaskedLM

folder, text = sys.argv[1:]
model, info = BertForMaskedLM.from_pretrained(folder, output_loading_info=True)
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = torch.tensor([tokenizer(text)["input_ids"]])
with torch.no_grad():
    best = model.eval()(input_ids=ids).logits[0].argmax(-1)
table = model.get_input_embeddings().weight.data_ptr()
print(json.dumps({
    "missing": sorted(info["missing_keys"]),
    "unexpected": sorted(info["unexpected_keys"]),
    "tied": model.get_output_embeddings().weight.data_ptr() == table,
    "guesses": tokenizer.convert_ids_to_tokens(best[ids[0] == tokenizer.mask_token_id].tolist()),
}))
