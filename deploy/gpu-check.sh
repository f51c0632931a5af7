#!/usr/bin/env bash
# Checks pubtag on a GPU: `deploy/gpu-check.sh [DIRECTORY]`. Needs no network.
#
# Prints a report in Markdown, to paste into an issue. DIRECTORY (default: gpu-check, must not exist) keeps the report, the
# same as JSON, the logs, the outputs and the autotuner's choices. Exits with 1 if a GPU fails or disagrees with the CPU.
#
# Needs bash, python3, and `pubtag` built with CUDA. Rows are compared if python3 has duckdb. Settings, as variables:
#   PUBTAG      the program                                [pubtag]
#   MODEL       a directory of a model                     [the bundled model]
#   DEVICE      cuda, cuda:1 …                             [cuda]
#   PRECISIONS  precisions to check                        [f32 f16 bf16]
#   BUDGETS     token budgets to compare                   [8192 32768]
#   COUNT       abstracts to tag                           [2000]
set -uo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
pubtag="${PUBTAG:-pubtag}"
device="${DEVICE:-cuda}"
out="${1:-gpu-check}"
read -ra precisions <<<"${PRECISIONS:-f32 f16 bf16}"
read -ra budgets <<<"${BUDGETS:-8192 32768}"
model=()
if [ -n "${MODEL:-}" ]; then model=(--model "$MODEL"); fi
failed=0

mkdir "$out" || exit 1
exec > >(tee "$out/report.md")
writer=$!

# Runs a command with a log; says so if it fails: `try LOG COMMAND…`.
try() {
  local log="$out/$1.log"
  shift
  "$@" >"$log" 2>&1 && return
  echo "**failed**: \`$*\` exited with $? (last lines of $log:)"
  tail -n 5 "$log" | sed 's/^/    /'
  failed=1
  return 1
}

# Seconds that a command takes, or `failed`: `seconds LOG COMMAND…`.
seconds() {
  local started=$EPOCHREALTIME
  if try "$@" >&2; then python3 -c "print(f'{$EPOCHREALTIME - $started:.1f}')"; else echo failed; fi
}

echo "# GPU check of $("$pubtag" --version)"
echo
echo '```'
nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv 2>/dev/null || echo "no nvidia-smi"
echo "CUDA_PATH=${CUDA_PATH:-}, LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}"
uname -srm
echo '```'

echo
echo "## Logits"
echo
largest="${budgets[-1]}"
"$pubtag" selftest --device "$device" "${model[@]}" --token-budget "$largest" --cache-dir "$out/kernels" \
  2>"$out/selftest.log" || failed=1

echo
echo "## Warm-up"
echo
echo "| precision | first, s | again, s |"
echo "|---|---|---|"
for precision in "${precisions[@]}"; do
  warm=("$pubtag" warmup --device "$device" "${model[@]}" --precision "$precision" --token-budget "$largest"
    --cache-dir "$out/cold")
  first="$(seconds "warmup-$precision-cold" "${warm[@]}")"
  again="$(seconds "warmup-$precision-warm" "${warm[@]}")"
  echo "| $precision | $first | $again |"
done

# Abstracts of sentences of the sample, each with a different choice.
python3 - "$here/sample/pubmed-sample.xml" "$out/abstracts.jsonl" "${COUNT:-2000}" <<'PYTHON'
import json, random, re, sys
import xml.etree.ElementTree as tree

sample, target, count = sys.argv[1:]
texts = ["".join(text.itertext()) for text in tree.parse(sample).iter("AbstractText")]
sentences = [sentence for text in texts for sentence in re.split(r"(?<=[.!?]) +", text) if sentence]
choice = random.Random(1)
with open(target, "w") as file:
    for pmid in range(1, int(count) + 1):
        text = " ".join(choice.choices(sentences, k=choice.randint(1, 20)))
        file.write(json.dumps({"pmid": pmid, "title": choice.choice(sentences), "abstract": text}) + "\n")
PYTHON

run() {
  local name="$1"
  shift
  try "run-$name" "$pubtag" run "$out/abstracts.jsonl" --output "$out/$name" "${model[@]}" --no-cache --quiet "$@" || return
  try "verify-$name" "$pubtag" verify "$out/$name"
}

# A figure of a report: `figure NAME PATH…`.
figure() {
  python3 -c 'import functools, json, sys
report = json.load(open(sys.argv[1]))
print(f"{functools.reduce(lambda value, key: value[key], sys.argv[2:], report):.0f}")' "$out/$1/report.json" "${@:2}"
}

# Mentions that only one of two outputs has, of those of the first.
differences() {
  if ! python3 -c 'import duckdb' 2>/dev/null; then
    echo "not compared (python3 has no duckdb)"
    return
  fi
  python3 - "$out/$1" "$out/$2" <<'PYTHON' || echo "not compared (see stderr)"
import sys
import duckdb

columns = "doc_id, start_char, end_char, label"
one, other = (f"(SELECT {columns} FROM '{path}/annotations/**/*.parquet')" for path in sys.argv[1:])
count = lambda query: duckdb.sql(f"SELECT count(*) FROM {query}").fetchall()[0][0]
apart = sum(count(f"({a} EXCEPT ALL {b})") for a, b in [(one, other), (other, one)])
print(f"{apart} of {count(one)}")
PYTHON
}

echo
echo "## Runs"
echo
echo "| device | precision | token budget | tokens/s | mentions that differ from the CPU's |"
echo "|---|---|---|---|---|"
run cpu --device cpu && echo "| cpu | f32 | | $(figure cpu throughput tokens_per_second) | |"
for precision in "${precisions[@]}"; do
  for budget in "${budgets[@]}"; do
    name="$precision-$budget"
    run "$name" --device "$device" --precision "$precision" --token-budget "$budget" --cache-dir "$out/kernels" || continue
    echo "| $device | $precision | $budget | $(figure "$name" throughput tokens_per_second) | $(differences cpu "$name") |"
  done
done
if nvidia-smi -L 2>/dev/null | sed -n 2p | grep -q .; then
  run all --device cuda:all --token-budget "$largest" --cache-dir "$out/kernels" &&
    echo "| cuda:all | f32 | $largest | $(figure all throughput tokens_per_second) | $(differences cpu all) |"
fi

if command -v compute-sanitizer >/dev/null; then
  echo
  echo "## compute-sanitizer"
  echo
  head -n 20 "$out/abstracts.jsonl" >"$out/few.jsonl"
  try memcheck compute-sanitizer --tool memcheck --error-exitcode 1 "$pubtag" run "$out/few.jsonl" --output "$out/few" \
    "${model[@]}" --device "$device" --token-budget 1024 --cache-dir "$out/kernels" --quiet && echo "no errors"
fi

echo
echo "These tables are in $out/report.json, too, and the autotuner's choices in $out/kernels."

# Once its input has ended, `tee` writes the rest of the report.
exec >&2
wait "$writer"
python3 - "$out/report.md" "$failed" >"$out/report.json" <<'PYTHON'
import json, sys

path, failed = sys.argv[1:]
report = {"failed": failed != "0", "machine": []}
rows = report["machine"]
with open(path) as lines:
    for line in map(str.strip, lines):
        if line.startswith("# "):
            report["title"] = line[2:]
        elif line.startswith("## "):
            rows, columns = report.setdefault(line[3:].lower(), []), None
        elif line.startswith("| "):
            cells = [cell.strip() for cell in line[1:-1].split("|")]
            if columns:
                rows.append(dict(zip(columns, cells)))
            columns = columns or [name or "result" for name in cells]
        elif line and not line.startswith(("|", "```")):
            rows.append(line)
print(json.dumps(report, indent=1))
PYTHON
exit "$failed"
