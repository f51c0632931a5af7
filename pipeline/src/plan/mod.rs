//! `pubtag plan`: what a run would take, from a sample of its inputs and the speed of this machine.
//!
//! ```text
//! inputs ─► files ─► citations, every 64th ─► tokenize ─► tag ─► write ─► speed, bytes per citation
//!           spread evenly, read whole        (as in a run, into a temporary directory)
//! ```

mod estimate;
mod sample;
mod speed;

use std::collections::HashMap;
use std::time::Duration;

use pubtag_parquet::Tables;
use pubtag_pubmed::{Inputs, Unreadable};
use pubtag_schemas::{Commit, InputUnit, identity};
use pubtag_store::Address;

use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::model::Model;
use crate::outputs;
use crate::run;
pub(crate) use estimate::{Estimate, Listed, Pending};
use sample::Sample;

/// The inputs of a run that are not committed in an output.
///
/// # Errors
/// The inputs, the model or the output cannot be read.
pub(crate) async fn pending(
    config: &RunConfig,
    model: &mut Model,
    output: Option<&Address>,
) -> Result<(Inputs, Pending), Failure> {
    let mut inputs = run::inputs(config).await?;
    for Unreadable { path, reason, .. } in &inputs.unreadable {
        tracing::warn!("{path}: not part of the plan: {reason}");
    }
    let found = inputs.units.len();
    if let Some(output) = output {
        let spec = run::spec(config, &model.checkpoint(&config.tagger).await?);
        if let Some(tables) = tables(output, config).await? {
            let mut commits: HashMap<_, Vec<&Commit>> = HashMap::new();
            tables.commits().iter().for_each(|commit| commits.entry(identity(commit.uri())).or_default().push(commit));
            let is_covered = |unit: &InputUnit| {
                let of_unit = commits.get(&identity(unit.uri()));
                of_unit.is_some_and(|commits| commits.iter().any(|commit| spec.covers(commit, unit)))
            };
            inputs.units.retain(|unit| !is_covered(unit));
        }
    }
    let bytes = inputs.units.iter().map(|unit| unit.size).sum::<Option<u64>>();
    let bytes = bytes.ok_or_else(|| Failure::message(Exit::Usage, "a plan needs inputs of known size, not pipes"))?;
    let files = inputs.units.len() as u64;
    let pending = Pending { files, bytes, committed_files: found as u64 - files };
    Ok((inputs, pending))
}

/// The commits of an output; `None` if it does not exist yet.
async fn tables(output: &Address, config: &RunConfig) -> Result<Option<Tables>, Failure> {
    match outputs::open(output, &config.store_options)? {
        Some(store) if Tables::exist_at(&store).await? => Ok(Some(Tables::open(store).await?)),
        _ => Ok(None),
    }
}

/// Reads a sample of the inputs and runs the model on it for some time.
///
/// # Errors
/// The sample cannot be read, has no citations, or cannot be tagged.
pub(crate) async fn estimate(
    config: &RunConfig,
    model: &mut Model,
    (inputs, pending): (Inputs, Pending),
    time: Duration,
) -> Result<Estimate, Failure> {
    if inputs.units.is_empty() {
        return Ok(Estimate::nothing(pending));
    }
    let Sample { citations, counted } = sample::read(&inputs.units, &config.read).await?;
    if citations.is_empty() {
        return Err(Failure::message(Exit::Data, "the sample has no citations; there is nothing to plan"));
    }
    let speed = speed::measure(config, model, citations, time).await?;
    Ok(Estimate::new(pending, counted, speed, config))
}
