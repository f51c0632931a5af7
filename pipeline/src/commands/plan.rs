//! `pubtag plan`.

use std::io;

use pubtag_pubmed::{Inputs, Skipped};
use pubtag_store::Address;
use serde::Serialize;

use crate::cached::CacheChoice;
use crate::cli::{PlanArgs, RunArgs, ShowFormat};
use crate::config::{RunConfig, missing};
use crate::exit::{Exit, Failure};
use crate::model::Model;
use crate::plan::{Listed, estimate, pending};
use crate::runtime::runtime;
use crate::terminal::print;

/// Prints what a run would take, or only its inputs.
///
/// # Errors
/// The inputs cannot be found, read or tagged.
pub fn execute(args: PlanArgs) -> Result<io::Result<()>, Failure> {
    if args.inputs.is_empty() {
        return Err(missing("INPUT"));
    }
    let scratch = tempfile::tempdir().map_err(|error| Failure::new(Exit::Transient, error))?;
    let PlanArgs { inputs, deadline, sample, list, format, mut options } = args;
    let output = options.output.replace(Address::Local(scratch.path().to_owned()));
    let mut config = RunConfig::check(RunArgs { inputs, shard: None, options })?;
    config.read.output = output.clone();
    config.cache = CacheChoice::Off;

    let runtime = runtime(config.tagger.device.threads)?;
    let text = runtime.block_on(async {
        let mut model = Model::default();
        let (inputs, left) = pending(&config, &mut model, output.as_ref()).await?;
        if list {
            return listing(inputs, format);
        }
        let estimate = estimate(&config, &mut model, (inputs, left), sample).await?.by(deadline);
        Ok(match format {
            ShowFormat::Table => estimate.page(),
            ShowFormat::Json => serde_json::to_string_pretty(&estimate)? + "\n",
        })
    })?;
    Ok(print(&text))
}

/// What `--list --format json` prints.
#[derive(Debug, Serialize)]
struct Listing {
    inputs: Vec<Listed>,
    skipped: Vec<NotRead>,
}

#[derive(Debug, Serialize)]
struct NotRead {
    path: String,
    reason: String,
}

fn listing(inputs: Inputs, format: ShowFormat) -> Result<String, Failure> {
    let Inputs { units, skipped, unreadable } = inputs;
    // Whoever distributes the inputs must not miss what cannot be read: it fails as an input that is named directly does.
    let unreadable = unreadable.into_iter().map(|file| Listed { input: file.path, bytes: None });
    let inputs = units.iter().map(|unit| Listed { input: unit.uri().to_owned(), bytes: unit.size }).chain(unreadable);
    Ok(match format {
        ShowFormat::Table => inputs.map(|listed| format!("{}\n", listed.input)).collect(),
        ShowFormat::Json => {
            let skipped = skipped.into_iter().map(|Skipped { path, reason }| NotRead { path, reason }).collect();
            serde_json::to_string_pretty(&Listing { inputs: inputs.collect(), skipped })? + "\n"
        }
    })
}
