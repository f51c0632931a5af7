//! Fine-tuning: it learns, it saves what it learnt, and it can be repeated bit for bit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::backend::Autodiff;
use burn_flex::{Flex, FlexDevice};
use pubtag_ner::train::{Example, Monitor, StepReport, TrainConfig, Verdict, train};
use pubtag_ner::{Checkpoint, ClassifierSetup, Device, Logits, MicroBatch, classifier};

/// The backend's random numbers come from one generator for the whole process: one training run at a time.
static GENERATOR: Mutex<()> = Mutex::new(());

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-bert")
}

/// Sequences in which a token's label is its id modulo 3: something that can be learnt.
fn examples() -> Vec<Example> {
    let sequence = |number: u32| {
        let ids: Vec<u32> = (0..6 + number % 5).map(|place| 5 + (number * 31 + place * 17) % 60).collect();
        let targets = ids.iter().enumerate().map(|(place, id)| (place > 0).then_some(id % 3)).collect();
        Example { ids, targets }
    };
    (0..24).map(sequence).collect()
}

fn config() -> TrainConfig {
    let count = |number| NonZeroUsize::new(number).unwrap();
    TrainConfig { epochs: count(25), batch_size: count(6), learning_rate: 5e-3, ..TrainConfig::default() }
}

/// Notes losses and the logits of the best epoch; an epoch is the better the lower its last loss.
#[derive(Default)]
struct Notes {
    losses: Vec<f32>,
    best: Vec<Logits>,
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
        Verdict { score: f64::from(-loss) }
    }
}

fn run(config: &TrainConfig) -> (Notes, Vec<u8>) {
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let checkpoint = Checkpoint::open(tiny()).unwrap();
    let mut notes = Notes::default();
    let examples = examples();
    let weights = train::<Autodiff<Flex>>(
        &checkpoint,
        &mut |_| examples.clone(),
        &examples,
        config,
        None,
        &FlexDevice,
        &mut notes,
    )
    .unwrap();
    (notes, weights)
}

#[test]
fn a_model_learns_and_its_saved_weights_say_what_it_said() {
    let (notes, weights) = run(&config());
    assert!(notes.losses[0] > 0.8 && notes.lowest.unwrap() < 0.2, "{:?}", notes.losses);

    let directory = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(tiny().join(file), directory.path().join(file)).unwrap();
    }
    std::fs::write(directory.path().join("model.safetensors"), weights).unwrap();
    let checkpoint = Checkpoint::open(directory.path()).unwrap();
    let mut model = classifier(&checkpoint, Device::Cpu, ClassifierSetup::on(Device::Cpu)).unwrap()().unwrap();
    for (example, said) in examples().iter().zip(&notes.best) {
        let mut batch = MicroBatch::default();
        batch.push(&example.ids);
        let logits = model.classify(&batch).unwrap();
        let worst = logits.values.iter().zip(&said.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst:e}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let short = TrainConfig { epochs: NonZeroUsize::new(2).unwrap(), ..config() };
    let (_, weights) = run(&short);
    assert_eq!(weights, run(&short).1);
    assert_ne!(weights, run(&TrainConfig { seed: 2, ..short }).1);
}
