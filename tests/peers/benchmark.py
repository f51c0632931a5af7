"""Benchmarks pubtag and its peers on the same texts, checkpoint and cores, in alternation; prints a table of ratios.

    tests/peers/benchmark.py --pubtag target/release/pubtag --model DIR --input FILE... [--texts N] [--rounds N]
        [--threads N] [--batches N...] [--candle tests/peers/candle/target/release/candle-peer] [--loops-only]

Inputs are PubMed files with real abstracts; every contender gets the texts that pubtag reads from them. Peers run at
their best: windows sorted by length, the best of several batch sizes, for ONNX Runtime a graph with fused attention,
norms and GELU, for OpenVINO int8 by NNCF, bf16 where the processor has it. The time of a peer covers tokenizing, running
and decoding with a loaded model (for candle, only running). The time of pubtag covers the whole process, from start-up to
committed Parquet files; it is also given without start-up, the time of a run on the first text only, to compare with peers.

candle is built by `RUSTFLAGS="-C target-cpu=native" cargo build --release --manifest-path tests/peers/candle/Cargo.toml`.
`--loops-only` skips the pipelines of `transformers`. For a model of any size, see tests/peers/make_random.py.

Needs tests/requirements-peers.txt. Contenders take turns, and ratios are the medians of the rounds' ratios, because the
speed of a machine drifts; the spread is from the fastest to the slowest round. On a busy machine, compare CPU times, with
`--threads 1`: idle threads of some peers spin, which counts as CPU time.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import typing

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--pubtag", required=True)
arguments.add_argument("--model", required=True)
arguments.add_argument("--input", nargs="+", required=True)
arguments.add_argument("--texts", type=int, default=256)
arguments.add_argument("--rounds", type=int, default=3)
arguments.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
arguments.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], help="batch sizes of peers")
arguments.add_argument("--candle", help="the program built from tests/peers/candle")
arguments.add_argument("--loops-only", action="store_true")
arguments.add_argument("--work", help="directory for exported graphs [default: temporary]")
options = arguments.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(options.threads)
os.environ["TOKENIZERS_PARALLELISM"] = "true"

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

from runtimes import ctranslate2_loops, openvino_loops  # noqa: E402

torch.set_num_threads(options.threads)
transformers.logging.set_verbosity_error()
WINDOW, STRIDE = 512, 128


class Time(typing.NamedTuple):
    """Seconds by the clock on the wall and of all cores together."""

    wall: float
    cpu: float

    @classmethod
    def now(cls):
        used = os.times()
        return cls(time.perf_counter(), used.user + used.system + used.children_user + used.children_system)

    def since(self, start):
        return Time(self.wall - start.wall, self.cpu - start.cpu)


def run_pubtag(inputs, output, *more):
    command = [options.pubtag, "run", *map(str, inputs), "--output", str(output), "--model", options.model, "--device",
               "cpu", "--threads", str(options.threads), "--quiet", *more]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((pathlib.Path(output) / "report.json").read_text())


def verify(output):
    """Checks the output, outside of the measured time: a time for a wrong output is worthless."""
    subprocess.run([options.pubtag, "verify", str(output), "--quiet"], check=True)


def table(output, name):
    return ds.dataset(str(pathlib.Path(output) / name), format="parquet", partitioning=None).to_table().to_pylist()


work = pathlib.Path(options.work or tempfile.mkdtemp())
work.mkdir(parents=True, exist_ok=True)

# The texts: citations with an abstract, as read by pubtag.
sampled = work / "sampled"
if not (work / "texts.jsonl").exists():
    run_pubtag(options.input, sampled, "--max-rejects", "100%")
    verify(sampled)
    seen, texts = set(), []
    for row in table(sampled, "documents"):
        if row["abstract"] and row["doc_id"] not in seen:
            seen.add(row["doc_id"])
            texts.append({"id": row["doc_id"], "title": row["title"] or "", "abstract": row["abstract"]})
    with (work / "texts.jsonl").open("w") as file:
        file.writelines(json.dumps(text) + "\n" for text in texts[: options.texts])
records = [json.loads(line) for line in (work / "texts.jsonl").open()]
(work / "first.jsonl").write_text(json.dumps(records[0]) + "\n")
texts = [f"{record['title']} {record['abstract']}" for record in records]

tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
model = transformers.AutoModelForTokenClassification.from_pretrained(options.model).float().eval()
labels = model.config.id2label


def windows():
    encoded = tokenizer(texts, truncation=True, max_length=WINDOW, stride=STRIDE, return_overflowing_tokens=True)
    return sorted(encoded["input_ids"], key=len)


def batches(size):
    ordered = windows()
    for start in range(0, len(ordered), size):
        chunk = ordered[start : start + size]
        ids = np.zeros((len(chunk), max(map(len, chunk))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(chunk):
            ids[row, : len(window)], mask[row, : len(window)] = window, 1
        yield ids, mask


def torch_loop(size):
    with torch.inference_mode():
        for ids, mask in batches(size):
            model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.argmax(-1).numpy()


def pipeline(size, ordered):
    tagger = transformers.pipeline("token-classification", model=model, tokenizer=tokenizer, stride=STRIDE,
                                   aggregation_strategy="first", device="cpu")
    given = sorted(texts, key=len) if ordered else texts
    with torch.inference_mode():
        return tagger(given, batch_size=size)


def export():
    """f32 graph with fused operators, and its int8 form (dynamic, per channel)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    plain, fused, small = (work / name for name in ("plain.onnx", "fused.onnx", "int8.onnx"))
    if not small.exists():
        eager = transformers.AutoModelForTokenClassification.from_pretrained(options.model, attn_implementation="eager")
        eager = eager.float().eval()

        class Logits(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = eager

            def forward(self, input_ids, attention_mask, token_type_ids):
                return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits

        sample = tuple(torch.ones(2, 8, dtype=torch.int64) for _ in range(3))
        names = ["input_ids", "attention_mask", "token_type_ids"]
        axes = {name: {0: "batch", 1: "tokens"} for name in [*names, "logits"]}
        torch.onnx.export(Logits(), sample, str(plain), input_names=names, output_names=["logits"], dynamic_axes=axes,
                          opset_version=17, dynamo=False)
        config = model.config
        graph = optimizer.optimize_model(str(plain), model_type="bert", num_heads=config.num_attention_heads,
                                         hidden_size=config.hidden_size, opt_level=1)
        print("fused in the ONNX graph:", {k: v for k, v in graph.get_fused_operator_statistics().items() if v}, file=sys.stderr)
        graph.save_model_to_file(str(fused))
        quantize_dynamic(str(fused), str(small), per_channel=True, weight_type=QuantType.QInt8,
                         extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
    session_options = ort.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    return [ort.InferenceSession(str(path), session_options, providers=["CPUExecutionProvider"]) for path in (fused, small)]


def onnx_loop(session, size):
    names = {entry.name for entry in session.get_inputs()}
    for ids, mask in batches(size):
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        session.run(None, {name: given[name] for name in names})[0].argmax(-1)


def candle_loop(size):
    path = work / "windows.json"
    path.write_text(json.dumps(windows()))
    command = [options.candle, options.model, str(path), str(size)]
    seconds = float(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    return Time(seconds, math.nan)


def pubtag(precision):
    with tempfile.TemporaryDirectory() as output:
        start = Time.now()
        run_pubtag([work / "first.jsonl"], pathlib.Path(output) / "first", "--precision", precision)
        start_up = Time.now().since(start)
        start = Time.now()
        report = run_pubtag([work / "texts.jsonl"], pathlib.Path(output) / "all", "--precision", precision)
        whole = Time.now().since(start)
        verify(pathlib.Path(output) / "all")
        steady[precision] = whole.since(start_up)
        busy = next(stage for stage in report["stages"] if stage["stage"] == "tag")
        details[precision] = {"tokens": report["packing"]["tokens"], "seconds": report["seconds"], "tag": busy}
        return whole


def gemm_limit():
    a, b = torch.randn(2048, 384), torch.randn(384, 1536)
    for _ in range(5):
        a @ b
    started, times = time.perf_counter(), 60
    for _ in range(times):
        a @ b
    return 2 * 2048 * 384 * 1536 * times / (time.perf_counter() - started)


def timed(work_of):
    start = Time.now()
    work_of()
    return Time.now().since(start)


details, steady = {}, {}
float_session, byte_session = export()
head = [parameter.detach().numpy() for parameter in (model.classifier.weight, model.classifier.bias)]
loops = {
    "OpenVINO": openvino_loops(work / "plain.onnx", list(batches(8)), options.threads, work),
    "CTranslate2": ctranslate2_loops(options.model, head, options.threads, work),
}
precisions = ["f32", "bf16", "int8"] if "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text() else ["f32", "int8"]
contenders = {}
for precision in precisions:
    contenders[f"pubtag {precision}"] = lambda precision=precision: pubtag(precision)
    contenders[f"pubtag {precision}, without start-up"] = lambda precision=precision: steady[precision]
if not options.loops_only:
    contenders["transformers pipeline, batch 32, arrival order"] = lambda: timed(lambda: pipeline(32, False))
    contenders["transformers pipeline, batch 32, sorted"] = lambda: timed(lambda: pipeline(32, True))
    contenders["transformers pipeline, batch 1"] = lambda: timed(lambda: pipeline(1, False))
for size in options.batches:
    contenders[f"PyTorch loop, sorted, batch {size}"] = lambda size=size: timed(lambda: torch_loop(size))
    contenders[f"ONNX Runtime f32, sorted, batch {size}"] = lambda size=size: timed(lambda: onnx_loop(float_session, size))
    contenders[f"ONNX Runtime int8, sorted, batch {size}"] = lambda size=size: timed(lambda: onnx_loop(byte_session, size))
    for runtime, by_precision in loops.items():
        for precision, loop in by_precision.items():
            name = f"{runtime} {precision}, sorted, batch {size}"
            contenders[name] = lambda size=size, loop=loop: timed(lambda: loop(batches(size)))
    if options.candle:
        contenders[f"candle f32, sorted, batch {size}"] = lambda size=size: candle_loop(size)

times = {name: [] for name in contenders}
limits = []
for round_number in range(options.rounds):
    limits.append(gemm_limit())
    for name, run in contenders.items():
        times[name].append(run())
        print(f"round {round_number + 1}: {name}: {times[name][-1].wall:.2f} s, CPU {times[name][-1].cpu:.2f} s", file=sys.stderr)

median = {name: Time(*map(statistics.median, zip(*values))) for name, values in times.items()}
tokens = details["f32"]["tokens"]
print(f"{len(texts)} texts, mean {statistics.mean(map(len, texts)):.0f} characters; {tokens} tokens with overlaps; "
      f"{options.threads} threads; {options.rounds} alternating rounds\n")


def ratio(name, ours):
    """How many times as much a contender needs as ours, by wall and by CPU time."""
    rounds = list(zip(times[name], times[ours]))
    wall, cpu = (statistics.median(theirs[of] / own[of] for theirs, own in rounds) for of in (0, 1))
    return f"{wall:.2f} / {cpu:.2f}"


ours = [f"pubtag {precision}, without start-up" for precision in precisions]
print("| contender | median s | spread | CPU s | texts/s | tokens/s | "
      + " | ".join(f"{name} is × as fast, wall / CPU" for name in ours) + " |")
print("|---" * (6 + len(ours)) + "|")
for name, value in sorted(median.items(), key=lambda item: item[1].wall):
    low, high = min(times[name]).wall, max(times[name]).wall
    print(f"| {name} | {value.wall:.2f} | {low:.2f}–{high:.2f} | {value.cpu:.2f} | {len(texts) / value.wall:.1f} | "
          f"{tokens / value.wall:.0f} | " + " | ".join(ratio(name, own) for own in ours) + " |")

config = model.config
layer_flops = 2 * (4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size)
flops = config.num_hidden_layers * layer_flops
limit = statistics.median(limits)
for precision, detail in details.items():
    # The sum over the workers, of which each thread is one.
    busy = detail["tag"]["busy_seconds"] / options.threads
    share = f"; {tokens * flops / busy / limit:.0%} of this machine's sgemm" if precision == "f32" else ""
    print(f"\npubtag {precision}: {tokens / busy:.0f} tokens/s in the model{share}; the run takes {detail['seconds'] / busy:.3f} "
          f"of the time of the model")
print(f"sgemm (torch, 2048 × 384 × 1536): {limit / 1e9:.0f} GFLOP/s; products of the encoder: {flops / 1e6:.1f} MFLOP per token")

# Agreement of the entities: pubtag with argmax and aggregation `first`, as in transformers.
with tempfile.TemporaryDirectory() as output:
    run_pubtag([work / "texts.jsonl"], output, "--decode", "argmax", "--aggregation", "first")
    verify(output)
    ours = {(row["doc_id"], row["start_char"], row["end_char"]) for row in table(output, "annotations")}
theirs = {
    (record["id"], entity["start"], entity["end"])
    for record, entities in zip(records, pipeline(8, False))
    for entity in entities
}
print(f"entities: {len(ours)} by pubtag, {len(theirs)} by transformers, {len(ours & theirs)} in common "
      f"({len(ours & theirs) / max(1, len(ours | theirs)):.2%} of all)")
