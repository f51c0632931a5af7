//! Logits equal those of `transformers`, for single and packed texts and for every type of weights.

use std::path::Path;

use crate::common::{copy_of, fixture, shared};
use half::{bf16, f16};
use pubtag_ner::{Checkpoint, ClassifierSetup, Device, Logits, MicroBatch, TokenClassifier, classifier};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    input_ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

fn reference(name: &str) -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(fixture(name).join("reference.json")).unwrap()).unwrap()
}

/// Opens a checkpoint, with any tokenizer if it has none.
fn open(directory: &Path) -> Box<dyn TokenClassifier> {
    if !directory.join("tokenizer.json").exists() {
        std::fs::copy(fixture("tiny-bert").join("tokenizer.json"), directory.join("tokenizer.json")).unwrap();
    }
    classifier(&Checkpoint::open(directory).unwrap(), Device::Cpu, ClassifierSetup::on(Device::Cpu)).unwrap()().unwrap()
}

fn packed<'a>(sequences: impl IntoIterator<Item = &'a Case>) -> MicroBatch {
    let mut batch = MicroBatch::default();
    sequences.into_iter().for_each(|case| batch.push(&case.input_ids));
    batch
}

fn worst<'a>(logits: &Logits, cases: impl IntoIterator<Item = &'a Case>) -> f32 {
    let expected: Vec<_> = cases.into_iter().flat_map(|case| &case.logits).collect();
    assert_eq!(logits.rows().len(), expected.len());
    let differences = logits.rows().zip(expected).flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b).abs()));
    differences.fold(0.0, f32::max)
}

#[test]
fn every_family_has_the_logits_of_transformers() {
    for name in ["tiny-bert", "tiny-roberta", "tiny-electra", "tiny-distilbert", "tiny-mpnet"] {
        let cases = reference(name);
        let mut model = open(copy_of(name).path());
        for case in &cases {
            let difference = worst(&model.classify(&packed([case])).unwrap(), [case]);
            assert!(difference <= 1e-4, "{name}: a single text differs by {difference}");
        }
        let difference = worst(&model.classify(&packed(&cases)).unwrap(), &cases);
        assert!(difference <= 1e-4, "{name}: packed texts differ by {difference}");
    }
}

#[test]
fn a_sequence_does_not_depend_on_its_neighbours() {
    let cases = reference("tiny-bert");
    let mut model = open(&fixture("tiny-bert"));
    let forwards = model.classify(&packed(&cases)).unwrap();
    let backwards = model.classify(&packed(cases.iter().rev())).unwrap();
    assert!(worst(&forwards, &cases) <= 1e-4 && worst(&backwards, cases.iter().rev()) <= 1e-4);
}

/// Rewrites the weights in another type.
fn recast(directory: &Path, dtype: Dtype, cast: impl Fn(f32) -> [u8; 2]) {
    let path = directory.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let words = tensor.data().as_chunks::<4>().0;
            let data = words.iter().flat_map(|word| cast(f32::from_le_bytes(*word))).collect();
            (name, tensor.shape().to_vec(), data)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, data)| (name, TensorView::new(dtype, shape.clone(), data).unwrap()));
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn half_precision_files_are_read() {
    let cases = reference("tiny-bert");
    let f16_copy = copy_of("tiny-bert");
    recast(f16_copy.path(), Dtype::F16, |value| f16::from_f32(value).to_le_bytes());
    let bf16_copy = copy_of("tiny-bert");
    recast(bf16_copy.path(), Dtype::BF16, |value| bf16::from_f32(value).to_le_bytes());
    for (copy, tolerance) in [(f16_copy, 0.05), (bf16_copy, 0.4)] {
        let difference = worst(&open(copy.path()).classify(&packed(&cases)).unwrap(), &cases);
        // Not equal, or the file would still be in f32.
        assert!(difference > 1e-5 && difference < tolerance, "differs by {difference}");
    }
}

#[test]
fn a_trained_checkpoint_has_the_logits_of_transformers() {
    let (Some(model), Some(rows)) = (shared("models/disease-minilm"), shared("reference/ncbi_dev_entities.jsonl"))
    else {
        return;
    };
    let mut model = open(&model);
    let text = std::fs::read_to_string(rows).unwrap();
    let cases: Vec<Case> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(cases.len(), 10, "ten rows of the reference have logits");
    let difference = worst(&model.classify(&packed(&cases)).unwrap(), &cases);
    // The reference is rounded to five digits.
    assert!(difference <= 1e-4, "differs by {difference}");
}
