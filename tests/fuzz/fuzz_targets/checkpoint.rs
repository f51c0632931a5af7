//! Model directories: any `config.json`, any weights, any tokenizer. `SEPARATOR` parts the three.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pubtag_ner::{Checkpoint, ClassifierSetup, Device, classifier};
use pubtag_tokenize::{WindowSize, WindowTokenizer};

const SEPARATOR: &[u8] = b"\xff\xfe\xff";

fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.windows(SEPARATOR.len()).position(|window| window == SEPARATOR)?;
    Some((&data[..at], &data[at + SEPARATOR.len()..]))
}

// A library's panic that is caught is none: only one that comes through ends the fuzzer.
fuzz_target!(init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))), |data: &[u8]| {
    let Some((config, rest)) = split(data) else { return };
    let Some((weights, tokenizer)) = split(rest) else { return };
    let directory = std::path::PathBuf::from(format!("/dev/shm/pubtag-fuzz-model-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("memory has room");
    for (name, bytes) in [("config.json", config), ("model.safetensors", weights), ("tokenizer.json", tokenizer)] {
        std::fs::write(directory.join(name), bytes).expect("memory has room");
    }
    if let Ok(checkpoint) = Checkpoint::open(&directory) {
        let _ = classifier(&checkpoint, Device::Cpu, ClassifierSetup::on(Device::Cpu)).and_then(|open| open().map(|_| ()));
        let _ = WindowTokenizer::open(&directory, WindowSize::of_model(checkpoint.max_tokens()));
    }
});
