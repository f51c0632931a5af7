#!/usr/bin/env bash
# Make our models again: `deploy/models/make.sh CORPORA WORK [MODEL]`.
#
# MODEL is pubtag-disease (the default), the bundled model, or pubtag-biomedical, for which pubtag-disease is made first.
#
# CORPORA holds the IOB files of NCBI Disease (ncbi_disease/iob/{train,devel}.tsv) and of the diseases of BC5CDR
# (bc5cdr_disease/iob/{train,devel}.tsv), and what `split.py` reads. WORK gets every intermediate; the model is
# WORK/MODEL. Steps whose result exists are skipped, and training resumes from its last epoch, so run the same
# command again after an interruption. `pubtag` must be on the PATH. The steps took two hours in total on two cores,
# and 100 minutes more for pubtag-biomedical, on a busy machine.
#
# SHA256SUMS beside this script lists the inputs and results. Inputs must match. Trained weights match on the same
# kind of processor with the same number of threads; elsewhere sums round differently, which is reported.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
model="${3:-pubtag-disease}"
case "$model" in
  pubtag-disease | pubtag-biomedical) ;;
  *) echo "make.sh: unknown model $model (known: pubtag-disease, pubtag-biomedical)" >&2; exit 2 ;;
esac
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
[ -d splits ] || python3 "$here/split.py" "$corpora" splits
for input in base/model.safetensors {ncbi,bc5cdr}_disease/iob/{train,devel}.tsv \
  splits/{ncbi,bc5cdr,biored}-{train,dev}.txt splits/{gnormplus,nlmgene,tmvar3,bioid}-train.txt splits/texts.jsonl; do
  check input "$input"
done

# The first teacher: diseases as NCBI Disease and BC5CDR annotate them, then as NCBI Disease alone does. The number of
# epochs and the rate were chosen on the development set; it is trained on that, too.
[ -d stage1 ] || pubtag train --train ncbi_disease/iob/train.tsv bc5cdr_disease/iob/train.tsv bc5cdr_disease/iob/devel.tsv \
  --dev ncbi_disease/iob/devel.tsv --base base --output stage1 --epochs 3 --learning-rate 1.5e-4 --seed 1 --threads 2
check result stage1/model.safetensors
[ -d ncbi-disease ] || pubtag train --train ncbi_disease/iob/train.tsv ncbi_disease/iob/devel.tsv \
  --base stage1 --output ncbi-disease --epochs 5 --learning-rate 1e-4 --seed 1 --threads 2 --dtype f16
check result ncbi-disease/model.safetensors

# The second teacher, and the model that learns from both: three corpora at once, in contexts of many lengths.
bc5cdr=types=Disease biored=types=Disease:map=DiseaseOrPhenotypicFeature=Disease
common=(--train splits/ncbi-train.txt "splits/bc5cdr-train.txt:$bc5cdr" "splits/biored-train.txt:$biored"
  --dev splits/ncbi-dev.txt "splits/bc5cdr-dev.txt:$bc5cdr" "splits/biored-dev.txt:$biored"
  --context-words 30..350 --context 200 --learning-rate 2e-4 --seed "${SEED:-1}" --threads 1)
[ -d mixed ] || pubtag train "${common[@]}" --base base --output mixed --epochs 6
check result mixed/model.safetensors
[ -d pubtag-disease ] || pubtag train "${common[@]}" --unlabelled splits/texts.jsonl --teacher mixed ncbi-disease \
  --base base --output pubtag-disease --epochs 5 --dtype f16
check result pubtag-disease/model.safetensors
[ "$model" = pubtag-biomedical ] || exit 0

# The model for six entity types. Four more corpora annotate one of them each; families of genes count as genes, as they do in
# BioRED, the only corpus that has all six. A teacher is trained on all of them, and goes on learning with pubtag-disease.
variants=types=Variant:map=DNAMutation=Variant,ProteinMutation=Variant,SNP=Variant,AcidChange=Variant
variants+=,DNAAllele=Variant,ProteinAllele=Variant,OtherMutation=Variant
genes=types=Gene:map=FamilyName=Gene
# `six WEIGHT OPTIONS…` trains, with the gene corpora that many times per epoch.
six() {
  pubtag train --train splits/ncbi-train.txt splits/bc5cdr-train.txt splits/biored-train.txt:weight=2 \
    splits/{gnormplus,nlmgene}-train.txt:$genes:weight=$1 "splits/tmvar3-train.txt:$variants" \
    splits/bioid-train.txt:types=CellLine:weight=0.4 --dev splits/{ncbi,bc5cdr,biored}-dev.txt \
    --context-words 30..350 --context 200 --seed "${SEED:-1}" --threads 2 "${@:2}"
}
[ -d six ] || six 1 --base base --output six --epochs 5 --learning-rate 2e-4
check result six/model.safetensors
[ -d pubtag-biomedical ] || six 0.5 --unlabelled splits/texts.jsonl --teacher six pubtag-disease \
  --base six --output pubtag-biomedical --epochs 3 --learning-rate 1.5e-4 --dtype f16
check result pubtag-biomedical/model.safetensors
