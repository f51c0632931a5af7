//! Training speed: forward pass, gradients and AdamW on the CPU.
//!
//! `cargo bench -p pubtag-ner --bench training -- DIR [STEPS] [WINDOWS] [TOKENS]` trains the checkpoint in DIR on random
//! ids and prints tokens per second; `tests/peers/training.py` does the same with PyTorch.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints

use std::num::NonZeroUsize;
use std::time::Duration;

use pubtag_ner::train::{Example, Monitor, StepReport, TrainConfig, Verdict, fine_tune};
use pubtag_ner::{Checkpoint, Device, Logits};

struct Clock(Vec<(usize, Duration)>);

impl Monitor for Clock {
    fn step(&mut self, report: &StepReport) {
        self.0.push((report.tokens, report.time));
    }

    fn epoch(&mut self, _: usize, _: &[Logits]) -> Verdict {
        Verdict { score: 0.0 }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some(directory) = arguments.first() else {
        println!("usage: training DIR [STEPS] [WINDOWS] [TOKENS]; DIR is a checkpoint");
        return;
    };
    let number = |at: usize, default: usize| arguments.get(at).map_or(default, |argument| argument.parse().unwrap());
    let (steps, windows, tokens) = (number(1, 20), number(2, 16), number(3, 150));
    let checkpoint = Checkpoint::open(directory).unwrap();
    let ids =
        move |window: usize| (0..tokens).map(move |place| (1000 + (window * 7919 + place * 104_729) % 20_000) as u32);
    let examples: Vec<Example> = (0..steps * windows)
        .map(|window| Example {
            ids: ids(window).collect(),
            targets: (0..tokens).map(|place| Some((place % 3) as u32)).collect(),
            unannotated: [].into(),
            taught: Vec::new(),
        })
        .collect();
    let config = TrainConfig {
        epochs: NonZeroUsize::MIN,
        batch_size: NonZeroUsize::new(windows).unwrap(),
        ..TrainConfig::default()
    };
    let mut clock = Clock(Vec::new());
    fine_tune(&checkpoint, &mut |_| Ok(examples.clone()), &[], &config, None, Device::Cpu, &mut clock).unwrap();
    let (tokens, time) =
        clock.0.iter().skip(2).fold((0, Duration::ZERO), |(tokens, time), step| (tokens + step.0, time + step.1));
    println!("{:.0} tokens/s ({} steps after two to warm up)", tokens as f64 / time.as_secs_f64(), clock.0.len() - 2);
}
