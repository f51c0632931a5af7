#!/usr/bin/env bash
# Make the bundled model again: `deploy/models/make.sh CORPORA WORK`.
#
# CORPORA holds the IOB files of NCBI Disease (ncbi_disease/iob/{train,devel}.tsv) and of the diseases of BC5CDR
# (bc5cdr_disease/iob/{train,devel}.tsv). WORK gets every intermediate; the model is WORK/pubtag-disease. Steps whose
# result exists are skipped, and training resumes from its last epoch, so run the same command again after an
# interruption. `pubtag` must be on the PATH. Takes about half an hour on two cores.
#
# SHA256SUMS beside this script lists the inputs and results. Inputs must match. Trained weights match on the same
# kind of processor with the same number of threads; elsewhere sums round differently, which is reported.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
corpora="$(cd "$1" && pwd)"
mkdir -p "$2" && cd "$2"
ln -sfn "$corpora/ncbi_disease" ncbi_disease
ln -sfn "$corpora/bc5cdr_disease" bc5cdr_disease

# Compares a file with its recorded checksum: `check input|result FILE`.
check() {
  local expected found
  expected="$(awk -v file="$2" '$2 == file { print $1 }' "$here/SHA256SUMS")"
  found="$(sha256sum "$2" | cut -d' ' -f1)"
  if [ "$expected" = "$found" ]; then
    echo "$2: matches its recorded checksum" >&2
  elif [ "$1" = input ]; then
    echo "error: $2 has SHA-256 $found, expected $expected" >&2
    exit 1
  else
    echo "warning: $2 has SHA-256 $found, recorded was $expected (expected on another kind of processor)" >&2
  fi
}

[ -d base ] || python3 "$here/base.py" base
for input in base/model.safetensors {ncbi,bc5cdr}_disease/iob/{train,devel}.tsv; do
  check input "$input"
done

# First diseases as both corpora annotate them, then as NCBI Disease alone does.
[ -d stage1 ] || pubtag train --train ncbi_disease/iob/train.tsv bc5cdr_disease/iob/train.tsv bc5cdr_disease/iob/devel.tsv \
  --dev ncbi_disease/iob/devel.tsv --base base --output stage1 --epochs 3 --learning-rate 1.5e-4 --seed 1
check result stage1/model.safetensors

# The number of epochs and the rate were chosen on the development set; the final model is trained on that, too.
[ -d pubtag-disease ] || pubtag train --train ncbi_disease/iob/train.tsv ncbi_disease/iob/devel.tsv \
  --base stage1 --output pubtag-disease --epochs 5 --learning-rate 1e-4 --seed "${SEED:-1}" --dtype f16
check result pubtag-disease/model.safetensors
