//! Settings of other tools' training: `transformers`' `run_ner`, and NeMo's token classification.

use anyhow::{Context, bail};

use super::file::Entry;

/// Names that mean the same as ours; nested keys are joined by dots.
const ALIASES: [(&str, &str); 18] = [
    ("model-name-or-path", "base"),
    ("train-file", "train"),
    ("validation-file", "dev"),
    ("output-dir", "output"),
    ("overwrite-output-dir", "overwrite"),
    ("num-train-epochs", "epochs"),
    ("per-device-train-batch-size", "batch-size"),
    ("warmup-ratio", "warmup"),
    ("max-grad-norm", "clip-norm"),
    ("model.language-model.pretrained-model-name", "base"),
    ("model.train-ds.text-file", "train"),
    ("model.validation-ds.text-file", "dev"),
    ("model.train-ds.batch-size", "batch-size"),
    ("model.optim.lr", "learning-rate"),
    ("model.optim.weight-decay", "weight-decay"),
    ("model.optim.sched.warmup-ratio", "warmup"),
    ("trainer.max-epochs", "epochs"),
    ("trainer.gradient-clip-val", "clip-norm"),
];

/// Names of settings whose value is translated, too.
const ACCUMULATION: [&str; 2] = ["gradient-accumulation-steps", "trainer.accumulate-grad-batches"];
const ALL_TOKENS: &str = "label-all-tokens";
const BALANCING: &str = "model.dataset.class-balancing";

/// All names that are translated.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALIASES.into_iter().map(|(theirs, _)| theirs).chain(ACCUMULATION).chain([ALL_TOKENS, BALANCING])
}

/// Renames other tools' settings to ours; leaves all others as they are.
///
/// # Errors
/// The number of accumulated micro-batches is not a positive number, their batch is too large, or class balancing is
/// of an unknown kind.
pub(super) fn translate(entries: Vec<Entry>) -> anyhow::Result<Vec<Entry>> {
    let mut translated = Vec::with_capacity(entries.len());
    let mut accumulated = 1;
    for Entry { name, values } in entries {
        let setting = |name: &str, values: &[&str]| Entry {
            name: name.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        translated.push(match (name.as_str(), values.first().map_or("", String::as_str)) {
            (ALL_TOKENS, all) => setting("label-tokens", &[if all == "true" { "all" } else { "first" }]),
            (BALANCING, "weighted_loss") => setting("class-weights", &["balanced"]),
            (BALANCING, other) => bail!("`{BALANCING}`: expected weighted_loss, not {other}"),
            (name, steps) if ACCUMULATION.contains(&name) => {
                let expected = || format!("`{name}`: expected a whole number above 0");
                accumulated = steps.parse().ok().filter(|steps: &usize| *steps > 0).with_context(expected)?;
                setting("accumulation", &[steps])
            }
            (theirs, _) => {
                let ours = ALIASES.iter().find(|(name, _)| *name == theirs).map_or(theirs, |(_, ours)| ours);
                Entry { name: ours.to_owned(), values }
            }
        });
    }
    whole_batch(&mut translated, accumulated)?;
    Ok(translated)
}

/// Other tools name the batch that is accumulated; we name the batch of a whole step, and split it.
fn whole_batch(entries: &mut [Entry], accumulated: usize) -> anyhow::Result<()> {
    for entry in entries.iter_mut().filter(|entry| accumulated > 1 && entry.name == "batch-size") {
        for value in &mut entry.values {
            if let Ok(size) = value.parse::<usize>() {
                let whole = size.checked_mul(accumulated).context("batch size times accumulation is too large")?;
                *value = whole.to_string();
            }
        }
    }
    Ok(())
}
