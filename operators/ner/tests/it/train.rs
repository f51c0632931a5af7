//! Fine-tuning: models learn, their weights are saved, and runs are reproducible bit for bit.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::common::{copy_of, fixture};
use pubtag_ner::train::{Example, Monitor, StepReport, TrainConfig, Verdict, fine_tune};
use pubtag_ner::{Checkpoint, ClassifierSetup, Device, Logits, MicroBatch, classifier};

/// The backend has one random generator per process, so only one training run at a time.
static GENERATOR: Mutex<()> = Mutex::new(());

/// Sequences in which a token's label is its id modulo 3, which can be learnt.
fn examples() -> Vec<Example> {
    let sequence = |number: u32| {
        let ids: Vec<u32> = (0..6 + number % 5).map(|place| 5 + (number * 31 + place * 17) % 60).collect();
        let targets = ids.iter().enumerate().map(|(place, id)| (place > 0).then_some(id % 3)).collect();
        Example { ids, targets, unannotated: [].into(), taught: Vec::new() }
    };
    (0..24).map(sequence).collect()
}

fn config() -> TrainConfig {
    let count = |number| NonZeroUsize::new(number).unwrap();
    TrainConfig { epochs: count(25), batch_size: count(6), learning_rate: 5e-3, ..TrainConfig::default() }
}

/// Records losses and the logits of the best epoch, which is the one with the lowest last loss.
#[derive(Default)]
struct Notes {
    losses: Vec<f32>,
    best: Vec<Logits>,
    last: Vec<Logits>,
    lowest: Option<f32>,
}

impl Monitor for Notes {
    fn step(&mut self, report: &StepReport) {
        self.losses.push(report.loss);
    }

    fn epoch(&mut self, _: usize, development: &[Logits]) -> Verdict {
        let loss = *self.losses.last().unwrap();
        if self.lowest.is_none_or(|lowest| loss < lowest) {
            (self.lowest, self.best) = (Some(loss), development.to_vec());
        }
        self.last = development.to_vec();
        Verdict { score: f64::from(-loss) }
    }
}

fn run(config: &TrainConfig) -> (Notes, Vec<u8>) {
    run_from(&fixture("tiny-bert"), config)
}

fn run_from(base: &Path, config: &TrainConfig) -> (Notes, Vec<u8>) {
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let checkpoint = Checkpoint::open(base).unwrap();
    let mut notes = Notes::default();
    let examples = examples();
    let weights =
        fine_tune(&checkpoint, &mut |_| Ok(examples.clone()), &examples, config, None, Device::Cpu, &mut notes)
            .unwrap();
    (notes, weights)
}

#[test]
fn a_model_learns_and_its_saved_weights_give_the_same_logits() {
    for name in ["tiny-bert", "tiny-mpnet"] {
        let directory = copy_of(name);
        std::fs::copy(fixture("tiny-bert").join("tokenizer.json"), directory.path().join("tokenizer.json")).unwrap();
        let (notes, weights) = run_from(directory.path(), &config());
        assert!(notes.losses[0] > 0.8 && notes.lowest.unwrap() < 0.2, "{name}: {:?}", notes.losses);

        std::fs::write(directory.path().join("model.safetensors"), weights).unwrap();
        let checkpoint = Checkpoint::open(directory.path()).unwrap();
        let mut model = classifier(&checkpoint, Device::Cpu, ClassifierSetup::on(Device::Cpu)).unwrap()().unwrap();
        for (example, said) in examples().iter().zip(&notes.best) {
            let mut batch = MicroBatch::default();
            batch.push(&example.ids);
            let logits = model.classify(&batch).unwrap();
            let worst = logits.values.iter().zip(&said.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{name}: {worst:e}");
        }
    }
}

#[test]
fn weights_follow_from_the_seed_bit_for_bit() {
    let short = TrainConfig { epochs: NonZeroUsize::new(2).unwrap(), ..config() };
    let (_, weights) = run(&short);
    assert_eq!(weights, run(&short).1);
    assert_ne!(weights, run(&TrainConfig { seed: 2, ..short }).1);
}

#[test]
fn if_the_examples_of_an_epoch_cannot_be_made_the_run_ends_before_its_first_step() {
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let checkpoint = Checkpoint::open(fixture("tiny-bert")).unwrap();
    let mut notes = Notes::default();
    let mut refuses = |epoch| if epoch == 3 { Err("the tokenizer failed".into()) } else { Ok(examples()) };
    let outcome = fine_tune(&checkpoint, &mut refuses, &[], &config(), None, Device::Cpu, &mut notes);
    let error = outcome.unwrap_err();
    assert_eq!(error.to_string(), "cannot make the training examples of epoch 4");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the tokenizer failed");
    assert!(notes.losses.is_empty(), "{} steps were run", notes.losses.len());
}

#[test]
fn types_that_one_corpus_does_not_annotate_are_learnt_from_another() {
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let checkpoint = Checkpoint::open(fixture("tiny-bert")).unwrap();
    // One corpus has all labels; the other, ten times as large, has only `O` and annotates no type.
    let poor = |unannotated: &[u32]| {
        let all_outside = |mut example: Example| {
            example.targets.iter_mut().flatten().for_each(|label| *label = 0);
            Example { unannotated: unannotated.into(), ..example }
        };
        (0..10).flat_map(|_| examples()).map(all_outside).chain(examples()).collect::<Vec<_>>()
    };
    let learn = |unannotated: &[u32]| {
        let config = TrainConfig { epochs: NonZeroUsize::new(6).unwrap(), ..config() };
        let (all, development) = (poor(unannotated), examples());
        let mut notes = Notes::default();
        let run = &mut |_| Ok(all.clone());
        fine_tune(&checkpoint, run, &development, &config, None, Device::Cpu, &mut notes).unwrap();
        accuracy(&development, &notes.last)
    };
    let (masked, naive) = (learn(&[1, 2]), learn(&[]));
    assert!(masked > 0.9 && naive < 0.6, "masked {masked}, naive {naive}");
}

/// The share of tokens with the right label.
fn accuracy(examples: &[Example], logits: &[Logits]) -> f64 {
    let label = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
    let pairs = examples.iter().zip(logits).flat_map(|(example, logits)| example.targets.iter().zip(logits.rows()));
    let right: Vec<bool> = pairs.filter_map(|(target, row)| Some(label(row) == (*target)? as usize)).collect();
    right.iter().filter(|right| **right).count() as f64 / right.len() as f64
}
