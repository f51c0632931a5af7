//! Entities equal those of `transformers`' token-classification pipeline, with every aggregation.

use std::collections::BTreeMap;

use crate::common::shared;
use pubtag_ner::{
    Aggregation, Checkpoint, ClassifierSetup, Decoder, Decoding, Device, Logits, MicroBatch, TokenClassifier,
    classifier,
};
use pubtag_schemas::{CharOffsets, TokenWindow};
use pubtag_tokenize::{WindowSize, WindowTokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    pmid: String,
    text: String,
    #[serde(flatten)]
    by_aggregation: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Entity {
    entity_group: String,
    score: f32,
    start: usize,
    end: usize,
}

/// A real model, and the entities that `transformers` finds with it.
struct Reference {
    checkpoint: Checkpoint,
    tokenizer: WindowTokenizer,
    model: Box<dyn TokenClassifier>,
    /// One [`Row`] per line.
    text: String,
}

impl Reference {
    /// `None`, with a message, without the reference data.
    fn open() -> Option<Self> {
        let (directory, rows) = (shared("models/disease-minilm")?, shared("reference/ncbi_dev_entities.jsonl")?);
        let checkpoint = Checkpoint::open(directory).unwrap();
        let size = WindowSize::of_model(checkpoint.max_tokens());
        let tokenizer = WindowTokenizer::open(checkpoint.files().clone(), size).unwrap();
        let model = classifier(&checkpoint, Device::Cpu, ClassifierSetup::on(Device::Cpu)).unwrap()().unwrap();
        Some(Self { checkpoint, tokenizer, model, text: std::fs::read_to_string(rows).unwrap() })
    }
}

fn classify(model: &mut dyn TokenClassifier, windows: &[TokenWindow]) -> Logits {
    let mut batch = MicroBatch::default();
    windows.iter().for_each(|window| batch.push(&window.ids));
    model.classify(&batch).unwrap()
}

#[test]
fn exactly_the_entities_of_the_reference_are_found_with_their_scores() {
    let Some(Reference { checkpoint, tokenizer, mut model, text }) = Reference::open() else { return };
    let (mut compared, mut worst) = (0, 0.0_f32);
    for line in text.lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        let windows = tokenizer.tokenize(&row.text, &[]).unwrap().windows;
        let logits = classify(&mut *model, &windows);
        for aggregation in [Aggregation::Simple, Aggregation::First, Aggregation::Average, Aggregation::Max] {
            let expected: Vec<Entity> =
                serde_json::from_value(row.by_aggregation[&aggregation.to_string()].clone()).unwrap();
            let decoder = Decoder::new(checkpoint.labels().clone(), aggregation, Decoding::Argmax);
            let found = decoder.decode(&windows, &mut logits.rows());
            let mut chars = CharOffsets::new(&row.text);
            let mut at = |byte| chars.at(byte).unwrap();
            let spans: Vec<_> =
                found.iter().map(|one| (at(one.bytes.start), at(one.bytes.end), one.label.as_str())).collect();
            let theirs: Vec<_> = expected.iter().map(|one| (one.start, one.end, one.entity_group.as_str())).collect();
            assert_eq!(spans, theirs, "{} {aggregation}", row.pmid);
            for (ours, theirs) in found.iter().zip(&expected) {
                worst = worst.max((ours.score - theirs.score).abs());
            }
            compared += found.len();
        }
    }
    assert!(worst <= 1e-3, "a score differs by {worst}");
    assert!(compared > 2000, "only {compared} entities were compared");
    eprintln!("{compared} entities compared, scores within {worst:e}");
}

#[test]
fn viterbi_mostly_agrees_with_argmax() {
    let Some(Reference { checkpoint, tokenizer, mut model, text }) = Reference::open() else { return };
    let decoder = |decoding| Decoder::new(checkpoint.labels().clone(), Aggregation::First, decoding);
    let (viterbi, argmax) = (decoder(Decoding::Viterbi), decoder(Decoding::Argmax));
    let (mut same, mut all) = (0, 0);
    for line in text.lines().take(20) {
        let row: Row = serde_json::from_str(line).unwrap();
        let windows = tokenizer.tokenize(&row.text, &[]).unwrap().windows;
        let logits = classify(&mut *model, &windows);
        let spans = |decoder: &Decoder| {
            decoder.decode(&windows, &mut logits.rows()).into_iter().map(|one| one.bytes).collect::<Vec<_>>()
        };
        let (ours, theirs) = (spans(&viterbi), spans(&argmax));
        same += ours.iter().filter(|bytes| theirs.contains(bytes)).count();
        all += theirs.len();
    }
    assert!(same * 10 >= all * 8, "{same} of {all} entities are the same");
}
