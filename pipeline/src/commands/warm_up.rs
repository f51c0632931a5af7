//! `pubtag warmup`.

use std::io::{self, Write};

use pubtag_ner::{Checkpoint, Warmed, warm_up};

use crate::bundled::named_or_bundled;
use crate::cli::WarmUpArgs;
use crate::device::{DeviceConfig, choose, use_threads};
use crate::exit::Failure;
use crate::terminal;

/// Warms up every device and prints the time for each shape.
///
/// # Errors
/// The model or a device cannot be used.
pub fn execute(args: WarmUpArgs) -> Result<io::Result<()>, Failure> {
    let checkpoint = Checkpoint::open(named_or_bundled(args.model)?)?;
    let config = DeviceConfig::check(args.device);
    use_threads(config.threads)?;
    let mut out = terminal::stdout();
    for device in choose(&config.choice)? {
        let warmed = warm_up(&checkpoint, device, &config.setup(device))?;
        if let Err(error) = writeln!(out, "{device}\n{}", table(&warmed)) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

fn table(warmed: &[Warmed]) -> String {
    if warmed.is_empty() {
        return "nothing to warm up: CPU kernels are part of the program".to_owned();
    }
    let header = "sequences   length   tokens    first s    again s".to_owned();
    let line = |shape: &Warmed| {
        let Warmed { sequences, length, first, again } = shape;
        let (first, again) = (first.as_secs_f64(), again.as_secs_f64());
        format!("{sequences:9} {length:8} {:8} {first:10.3} {again:10.3}", sequences * length)
    };
    std::iter::once(header).chain(warmed.iter().map(line)).collect::<Vec<_>>().join("\n")
}
