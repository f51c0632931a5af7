#!/usr/bin/env bash
# Rebuilds the bundled model: `deploy/models/make.sh CORPORA WORK`.
#
# CORPORA contains the PubTator files of NCBI Disease (ncbi_disease/pubtator) and AIONER (aioner/train, aioner/test).
# All results are written to WORK, the model to WORK/MODEL. Steps whose result exists are skipped, and training
# resumes from its last epoch, so run the same command again after an interruption. `pubtag` must be on the PATH.
#
# Each result's SHA-256 is compared with deploy/models/SHA256SUMS. Corpora and base must agree. Trained weights agree on
# processors with the same vector instructions (the file names them); elsewhere sums round differently, which is reported.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
corpora="$(cd "$1" && pwd)"
mkdir -p "$2" && cd "$2"

# check FILE must|may
check() {
  local expected found
  expected="$(awk -v file="$1" '$2 == file { print $1 }' "$here/SHA256SUMS")"
  found="$(sha256sum "$1" | cut -d' ' -f1)"
  if [ "$expected" = "$found" ]; then
    echo "$1: as recorded" >&2
  elif [ "$2" = must ]; then
    echo "error: $1 has SHA-256 $found, expected $expected" >&2
    exit 1
  else
    echo "warning: $1 has SHA-256 $found, not the recorded $expected: expected only on another processor" >&2
  fi
}

[ -d base ] || python3 "$here/base.py" base
check base/model.safetensors must

[ -f corpora/SHA256SUMS ] || python3 "$here/split.py" "$corpora" corpora
for corpus in ncbi bc5cdr biored; do
  check "corpora/$corpus-train.txt" must
  check "corpora/$corpus-dev.txt" must
done

# One head for all six types. Each corpus teaches the types that it annotates.
[ -d MODEL ] || pubtag train \
  --train corpora/ncbi-train.txt corpora/bc5cdr-train.txt:weight=0.6 corpora/biored-train.txt:weight=1.25 \
  --dev corpora/ncbi-dev.txt corpora/bc5cdr-dev.txt corpora/biored-dev.txt \
  --base base --output MODEL --context-words 30..350 --context 200 \
  --epochs 5 --batch-size 8 --learning-rate 2e-4 --seed "${SEED:-1}" --threads 1 --dtype f16
check MODEL/model.safetensors may
