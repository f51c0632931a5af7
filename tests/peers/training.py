"""Measures the training speed of PyTorch and `transformers`, for comparison with `cargo bench -p pubtag-ner --bench
training`: `training.py MODEL [THREADS]`.

The same workload: batches of 16 × 150 tokens through a token classifier, dropout, cross-entropy, gradients clipped by their
global norm, one step of fused AdamW. Best of five rounds of three steps.
"""
import os
import sys
import time

import torch
from transformers import AutoModelForTokenClassification

threads = int(sys.argv[2]) if len(sys.argv) > 2 else len(os.sched_getaffinity(0))
torch.set_num_threads(threads)
model = AutoModelForTokenClassification.from_pretrained(sys.argv[1]).float().train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
ids = torch.randint(1000, 20000, (16, 150))
labels = torch.randint(0, model.config.num_labels, (16, 150))


def step():
    loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


step()
best = float("inf")
for _ in range(5):
    started = time.perf_counter()
    for _ in range(3):
        step()
    best = min(best, time.perf_counter() - started)
print(f"{3 * ids.numel() / best:.0f} tokens/s on {threads} threads, torch {torch.__version__}")
