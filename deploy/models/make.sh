#!/usr/bin/env bash
# Makes the bundled model again: `deploy/models/make.sh CORPORA WORK`.
#
# CORPORA holds the IOB files of NCBI Disease (ncbi_disease/iob/{train,devel}.tsv) and of the diseases of BC5CDR
# (bc5cdr_disease/iob/{train,devel}.tsv); the model card names each by its SHA-256. WORK is a new folder; the model is
# in WORK/pubtag-disease. `pubtag` is on the PATH. About half an hour on two cores.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
corpora="$(cd "$1" && pwd)"
mkdir "$2" && cd "$2"
ln -s "$corpora/ncbi_disease" "$corpora/bc5cdr_disease" .

python3 "$here/base.py" base

# First diseases as both corpora see them, then NCBI's own.
pubtag train --train ncbi_disease/iob/train.tsv bc5cdr_disease/iob/train.tsv bc5cdr_disease/iob/devel.tsv \
  --dev ncbi_disease/iob/devel.tsv --base base --output stage1 --epochs 3 --learning-rate 1.5e-4 --seed 1

# The number of epochs and the rate were chosen on the development set; the final model learns from that, too.
pubtag train --train ncbi_disease/iob/train.tsv ncbi_disease/iob/devel.tsv \
  --base stage1 --output pubtag-disease --epochs 5 --learning-rate 1e-4 --seed "${SEED:-1}" --dtype f16
