"""Makes a BERT token classifier of any size with random weights, for benchmarks: `make_random.py MODEL OUT [LAYERS HIDDEN HEADS]`.

Tokenizer, vocabulary and labels are those of MODEL. Default: 12 layers of width 768 with 12 heads, as in BERT base.
"""
import pathlib
import shutil
import sys

import torch
import transformers

model, out, *sizes = sys.argv[1:]
layers, hidden, heads = map(int, sizes or (12, 768, 12))
torch.manual_seed(1)
config = transformers.AutoConfig.from_pretrained(model)
config.update({"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads,
               "intermediate_size": 4 * hidden})
transformers.BertForTokenClassification(config).save_pretrained(out)
for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
    path = pathlib.Path(model) / name
    if path.exists():
        shutil.copy(path, out)
