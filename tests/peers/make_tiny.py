"""Makes the tiny random checkpoints in tests/fixtures, with their logits in `transformers`.

    python tests/peers/make_tiny.py

Written with torch 2.15 and transformers 5.23. The weights are random but spread widely, so that predictions vary from
token to token and every part of the model shows in the logits. Everything is seeded, so the files are reproducible.
"""

import json
import string
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
STEMS = """the of and in to with for was by patients cancer tumor disease gene cell blood syndrome colon breast heart
liver de ##ficiency ##itis ##oma ##emia ##ase ##s ##ed ##ing ##tion ##al ##ic ##er ##ar ##en muta ##tions hered ##itary
famil ##ial type clin ##ical study result method back ##ground""".split()
OTHER = ["é", "##é", "ß", "##ß", "α", "β", "μ", "##α", "##β", "##2", "##1", "癌", "症", "細", "胞"]

TEXTS = [
    "Hereditary colon cancer in patients.",
    "BACKGROUND: Mutations of the gene (BRCA-1) and breast tumors; a clinical study with 12 patients was ended by de-ficiency.",
    "x",
    "Familial syndromes: café, naïve, β-cell disease.",
    "癌症 of the liver",
]


def vocabulary():
    """About 200 WordPieces: every letter and digit as words and inside words, punctuation, stems, and some non-ASCII."""
    singles = list(string.ascii_lowercase + string.digits + string.punctuation)
    inside = ["##" + letter for letter in string.ascii_lowercase + string.digits]
    tokens = list(dict.fromkeys(SPECIAL + singles + inside + STEMS + OTHER))
    return {token: index for index, token in enumerate(tokens)}


def wordpiece():
    """A lower-casing BERT tokenizer with that vocabulary."""
    return transformers.BertTokenizer(vocab=vocabulary(), do_lower_case=True, model_max_length=64)


def spread(model, seed):
    """Random weights of a scale that makes the logits differ clearly between tokens."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        wide = 0.8 if name.startswith("classifier") or "relative_attention" in name else 0.2
        noise = torch.randn(parameter.shape, generator=generator) * wide
        is_scale = name.endswith("LayerNorm.weight") or name.endswith("layer_norm.weight")
        parameter.data = noise * 0.5 + 1.0 if is_scale else noise


def logits_of(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def padded_logits(model, rows, pad):
    """The same rows in one padded batch, with which packing must agree."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    return [logits[i, : len(row)] for i, row in enumerate(rows)]


def balance(model, rows):
    """Shifts the classifier's bias so that every label wins somewhere, O most often."""
    mean = torch.cat([logits_of(model, row) for row in rows]).mean(0)
    model.classifier.bias.data += torch.tensor([1.0] + [0.0] * (len(mean) - 1)) - mean


def rounded(tensor):
    return [[round(value, 6) for value in row] for row in tensor.tolist()]


def save(name, model, tokenizer, seed):
    model.eval()
    rows = [wordpiece()(text)["input_ids"] for text in TEXTS]
    spread(model, seed)
    balance(model, rows)
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
        (folder / "vocab.txt").write_text("".join(token + "\n" for token in vocabulary()))
    batched = padded_logits(model, rows, model.config.pad_token_id or 0)
    for row, together in zip(rows, batched):
        assert torch.allclose(logits_of(model, row), together, atol=1e-4), name
    reference = [
        {"text": text, "input_ids": row, "logits": rounded(logits_of(model, row))} for text, row in zip(TEXTS, rows)
    ]
    tags = torch.cat([torch.tensor(case["logits"]).argmax(-1) for case in reference])
    print(name, "tags", tags.bincount(minlength=3).tolist(), file=sys.stderr)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in reference)
    (folder / "reference.json").write_text(f"[\n{lines}\n]\n")


def save_masked(name, model, seed):
    """A masked language model without a tokenizer of its own: every fourth token is a target, some of them not masked."""
    model.eval()
    spread(model, seed)
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    mask = vocabulary()["[MASK]"]
    cases = []
    for text in TEXTS[:2] + TEXTS[3:]:
        ids = wordpiece()(text)["input_ids"]
        places = list(range(1, len(ids) - 1, 4))
        shown = [mask if place in places and place % 3 else id for place, id in enumerate(ids)]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([shown])).logits[0, places]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([ids[place] for place in places]))
        targets = [[place, ids[place]] for place in places]
        cases.append({"ids": shown, "targets": targets, "loss": loss.item(), "logits": rounded(logits)})
    (folder / "reference.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


def labels(types=("Disease",)):
    names = ["O"] + [f"{prefix}-{kind}" for kind in types for prefix in "BI"]
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}


def main():
    words = len(vocabulary())
    small = {"vocab_size": words, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 24, "max_position_embeddings": 64}
    bert = {**small, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}

    save("tiny-bert", transformers.BertForTokenClassification(transformers.BertConfig(**bert, **labels())),
         wordpiece(), seed=7)
    save("tiny-roberta", transformers.RobertaForTokenClassification(transformers.RobertaConfig(
        **small, **labels(), type_vocab_size=1, pad_token_id=0, hidden_act="gelu_new")), None, seed=2)
    save("tiny-electra", transformers.ElectraForTokenClassification(transformers.ElectraConfig(
        **small, **labels(), embedding_size=8, hidden_act="relu")), None, seed=3)
    save("tiny-distilbert", transformers.DistilBertForTokenClassification(transformers.DistilBertConfig(
        vocab_size=words, dim=16, n_layers=1, n_heads=2, hidden_dim=24, max_position_embeddings=64,
        **labels())), None, seed=4)
    save("tiny-mpnet", transformers.MPNetForTokenClassification(transformers.MPNetConfig(
        **{**small, "max_position_embeddings": 66}, **labels())), None, seed=6)
    save_masked("tiny-bert-masked", transformers.BertForMaskedLM(transformers.BertConfig(**small)), seed=5)


if __name__ == "__main__":
    main()
