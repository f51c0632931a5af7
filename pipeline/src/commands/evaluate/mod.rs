//! `pubtag evaluate`: one corpus in detail, or several in a table.

mod page;
mod predictions;
mod scores;

use std::io::{self, Write as _};

use pubtag_corpus::{CorpusSpec, Labels};
use pubtag_ner::Checkpoint;
use serde::Serialize;

use self::page::{comparison, page};
use self::predictions::{begin_file, columns, predict};
use self::scores::{Evaluation, Target, evaluate};
use crate::bundled::named_or_bundled;
use crate::cli::EvaluateArgs;
use crate::device::{DeviceConfig, use_threads};
use crate::exit::Failure;
use crate::terminal;
use crate::training::card::Seen;
use crate::training::corpora::{keep_types, read_gold, refuse_weight, warn_of_untaggable};

/// Evaluates and prints.
///
/// # Errors
/// The model or a corpus cannot be used, or the model was trained on a corpus or knows none of its types.
pub fn execute(args: &EvaluateArgs) -> Result<io::Result<()>, Failure> {
    if args.predictions.is_some() && args.gold.len() > 1 {
        return Err(Failure::configuration("--predictions requires a single --gold corpus"));
    }
    use_threads(DeviceConfig::check(args.device.clone()).threads)?;
    let checkpoint = Checkpoint::open(named_or_bundled(args.model.clone())?)?;
    let corpora = args.gold.iter().map(|corpus| read(corpus, args, &checkpoint)).collect::<Result<Vec<_>, _>>()?;
    let mut predictions = args.predictions.as_deref().map(|path| begin_file(path, args)).transpose()?;
    let measure = |target: &Target| -> Result<Evaluation, Failure> {
        let gold = &target.gold;
        let found = predict(args, gold, &checkpoint)?;
        if let Some((path, mut file)) = args.predictions.as_deref().zip(predictions.take()) {
            let written = file.write_all(columns(&gold.documents, &found).as_bytes()).and_then(|()| file.finish());
            written.map_err(|error| Failure::write(path, error))?;
        }
        Ok(evaluate(args, target, &checkpoint, &found)?)
    };
    let evaluations = corpora.iter().map(measure).collect::<Result<Vec<_>, _>>()?;
    let text = match (&evaluations[..], args.json) {
        ([one], true) => json(one)?,
        (several, true) => json(&several)?,
        ([one], false) => page(one, args.errors),
        (several, false) => comparison(several),
    };
    Ok(terminal::print(&text))
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(text + "\n")
}

/// Reads a corpus and keeps the types that the model knows.
fn read(corpus: &CorpusSpec, args: &EvaluateArgs, checkpoint: &Checkpoint) -> Result<Target, Failure> {
    refuse_weight(corpus, "--gold")?;
    let mut gold = read_gold(corpus, args.from.map(Into::into), args.labels.into())?;
    if !args.allow_training_data && Seen::by(checkpoint.origin()).contains(&gold) {
        return Err(Failure::configuration(format!(
            "{} was trained on {}; evaluate on another file, or use --allow-training-data",
            checkpoint.name(),
            gold.corpus.path.display()
        )));
    }
    let known =
        checkpoint.labels().entity_types().iter().map(|name| Labels::from(args.labels).name_of(name).to_owned());
    let not_scored = keep_types(&mut gold, &known.collect::<Vec<_>>(), "the model does not know them")?;
    let untaggable = warn_of_untaggable(&gold);
    Ok(Target { gold, not_scored, untaggable })
}
