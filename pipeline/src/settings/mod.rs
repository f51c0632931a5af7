//! Settings: options of the command line, the environment and a settings file, merged by type.
//!
//! ```text
//! command line > environment > settings file (--config) > default
//! ```
//!
//! clap reads the first two and the defaults, and tells them apart. [`merge`] fills in, from the file, what only has a
//! default, through the same parser of the same type, and returns where each value came from: `pubtag config show` prints
//! that. A file may only set what it names correctly, once.

mod file;
mod foreign;
mod names;
mod sections;
mod source;
mod value;

use std::path::PathBuf;

use anyhow::bail;
use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::cli::{
    DeviceArgs, PlanArgs, PretrainArgs, RunArgs, RunOptions, StoreArgs, TrainArgs, TrainingArgs, WorkerArgs,
};
use crate::exit::{Exit, Failure};
use file::SettingsFile;
pub(crate) use sections::Sections;
pub(crate) use source::Effective;
use source::Source;
use value::Value;

/// Arguments that a settings file may set.
pub(crate) trait Configurable {
    /// The file that the command line names.
    fn file(&self) -> Option<PathBuf>;

    /// Renames the settings of other tools to ours.
    fn translate(entries: Vec<file::Entry>) -> anyhow::Result<Vec<file::Entry>> {
        Ok(entries)
    }

    /// The names that are renamed, to be suggested.
    fn translated_names() -> Vec<&'static str> {
        Vec::new()
    }

    /// Merges each setting.
    fn merge(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()>;
}

/// Fills in what the settings file says and returns every setting with its source.
///
/// # Errors
/// The file cannot be read, names an unknown setting or one twice, or a value is not valid.
pub(crate) fn merge<A: Configurable>(args: &mut A, matches: &ArgMatches) -> Result<Vec<Effective>, Failure> {
    let path = args.file();
    let file = path.as_deref().map(SettingsFile::read).transpose()?.unwrap_or_default();
    merge_file(args, matches, file).map_err(|error| match &path {
        Some(path) => file::invalid(path, error),
        None => Failure::new(Exit::Usage, error),
    })
}

fn merge_file<A: Configurable>(
    args: &mut A,
    matches: &ArgMatches,
    mut file: SettingsFile,
) -> anyhow::Result<Vec<Effective>> {
    file.entries = A::translate(file.entries)?;
    let mut layers = Layers { matches, file, effective: Vec::new() };
    args.merge(&mut layers)?;
    layers.refuse_unknown(&A::translated_names())?;
    Ok(layers.effective)
}

/// The layers that a setting may come from.
pub(crate) struct Layers<'a> {
    matches: &'a ArgMatches,
    file: SettingsFile,
    effective: Vec<Effective>,
}

impl Layers<'_> {
    /// Merges a setting: `value` is what the command line, the environment or the default says.
    fn setting<T: Value>(&mut self, field: &str, value: &mut T) -> anyhow::Result<()> {
        let name = field.replace('_', "-");
        let from_file: Option<T> = self.file.take(&name)?;
        let source = match (self.given(field), from_file) {
            (Some(source), _) => source,
            (None, Some(from_file)) => {
                *value = from_file;
                Source::File(self.file.path.clone())
            }
            (None, None) => Source::Default,
        };
        self.effective.push(Effective { name, value: value.to_json(), source });
        Ok(())
    }

    /// Two settings that exclude each other: one on the command line also replaces the other in the file.
    fn exclusive(&mut self, one: &str, other: &str) {
        for (given, replaced) in [(one, other), (other, one)] {
            if self.given(given).is_some() {
                let name = replaced.replace('_', "-");
                self.file.entries.retain(|entry| entry.name != name);
            }
        }
    }

    /// Where a setting comes from, if the command line or the environment has it.
    fn given(&self, field: &str) -> Option<Source> {
        match self.matches.value_source(field)? {
            ValueSource::CommandLine => Some(Source::CommandLine),
            ValueSource::EnvVariable => Some(Source::Environment),
            _ => None,
        }
    }

    /// Refuses the settings that are left in the file: the command does not have them.
    fn refuse_unknown(&self, other_names: &[&str]) -> anyhow::Result<()> {
        let Some(unknown) = self.file.entries.first() else { return Ok(()) };
        let known = self.effective.iter().map(|setting| setting.name.as_str());
        match names::nearest(&unknown.name, known.clone().chain(other_names.iter().copied())) {
            Some(nearest) => bail!("unknown setting `{}`; did you mean `{nearest}`?", unknown.name),
            None => {
                bail!("unknown setting `{}`; expected one of {}", unknown.name, known.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Implements [`Configurable::merge`] over fields; all of them must be named, so that no new option is forgotten.
macro_rules! merge_fields {
    ($layers:ident, $args:expr, { $($field:ident),* $(,)? } $(, nested $nested:ident)* $(, without $other:ident)*) => {{
        let Self { $($field,)* $($nested,)* $($other: _),* } = $args;
        $($layers.setting(stringify!($field), $field)?;)*
        $($nested.merge_into($layers)?;)*
        Ok(())
    }};
}

impl Configurable for RunArgs {
    fn file(&self) -> Option<PathBuf> {
        self.options.config.clone()
    }

    fn merge(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        merge_fields!(layers, self, { inputs, shard }, nested options)
    }
}

impl Configurable for WorkerArgs {
    fn file(&self) -> Option<PathBuf> {
        self.options.config.clone()
    }

    fn merge(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        self.options.merge_into(layers)
    }
}

impl Configurable for PlanArgs {
    fn file(&self) -> Option<PathBuf> {
        self.options.config.clone()
    }

    fn merge(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        merge_fields!(layers, self, { inputs }, nested options, without deadline, without sample, without list, without format)
    }
}

impl RunOptions {
    fn merge_into(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        layers.exclusive("cache", "no_cache");
        self.merge_fields_into(layers)?;
        match (&self.cache, self.no_cache) {
            (Some(_), true) => bail!("`cache` and `no-cache` exclude each other"),
            _ => Ok(()),
        }
    }

    fn merge_fields_into(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        merge_fields!(layers, self, {
            output, model, decode, aggregation, context, abbreviations, text, max_rejects, max_differences, input_format, id_column,
            text_column, title_column, limit, cache, no_cache, overwrite, reissued, accept_partial, grace,
        }, nested device, nested store, without config)
    }
}

impl StoreArgs {
    fn merge_into(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        merge_fields!(layers, self, { store_option })
    }
}

impl DeviceArgs {
    fn merge_into(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        merge_fields!(layers, self, { device, precision, token_budget, threads, threads_per_worker, cache_dir, device_memory },
            without unchecked_device)
    }
}

impl Configurable for TrainArgs {
    fn file(&self) -> Option<PathBuf> {
        self.config.clone()
    }

    fn translate(entries: Vec<file::Entry>) -> anyhow::Result<Vec<file::Entry>> {
        foreign::translate(entries)
    }

    fn translated_names() -> Vec<&'static str> {
        foreign::names().collect()
    }

    fn merge(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        merge_fields!(layers, self, {
            train, dev, unlabelled, teacher, base, output, from, labels, context_words, context, label_tokens, class_weights,
            replace_mentions,
        }, nested training, without config)
    }
}

impl Configurable for PretrainArgs {
    fn file(&self) -> Option<PathBuf> {
        self.config.clone()
    }

    fn merge(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        merge_fields!(layers, self, { inputs, base, output, context_words, mask, held_out }, nested training, without config)
    }
}

impl TrainingArgs {
    fn merge_into(&mut self, layers: &mut Layers<'_>) -> anyhow::Result<()> {
        merge_fields!(layers, self, {
            epochs, batch_size, accumulation, learning_rate, warmup, weight_decay, clip_norm, layer_decay, patience, seed, dtype,
            overwrite, device, threads, cache_dir,
        })
    }
}

#[cfg(test)]
mod tests;
