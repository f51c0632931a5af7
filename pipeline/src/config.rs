//! Checked settings: what a run works with once the command line has been believed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pubtag_ner::{Aggregation, Checkpoint, Decoding, Precision};
use pubtag_parquet::TextPolicy;
use pubtag_pubmed::{ReadOptions, TextColumns};
use pubtag_tokenize::Context;

use crate::cli::{Abbreviations, RunArgs};
use crate::device::DeviceConfig;

/// Settings of `pubtag run`.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// What to read, as given.
    pub inputs: Vec<String>,
    /// The folder to write to.
    pub output: PathBuf,
    /// The directory of the model; `None` is the one inside the program.
    pub model: Option<PathBuf>,
    /// Where and how the model is to run.
    pub device: DeviceConfig,
    /// How tags are chosen.
    pub decode: Decoding,
    /// How sub-tokens become words.
    pub aggregation: Aggregation,
    /// How much of a document the model reads at a time; `None` leaves it to the model.
    pub context: Option<Context>,
    /// Whether abbreviations are tagged by their definitions.
    pub abbreviations: Abbreviations,
    /// What `documents` carries of the text.
    pub text: TextPolicy,
    /// When rejects fail the run.
    pub max_rejects: MaxRejects,
    /// How inputs are read.
    pub read: ReadOptions,
    /// Whether earlier work may be replaced.
    pub overwrite: bool,
    /// How long the file at hand has to finish after a signal.
    pub grace: Duration,
}

impl RunConfig {
    /// Takes what the command line says.
    pub fn check(args: RunArgs) -> Self {
        Self {
            inputs: args.inputs,
            output: args.output.clone(),
            model: args.model,
            device: DeviceConfig::check(args.device),
            decode: args.decode,
            aggregation: args.aggregation,
            context: args.context,
            abbreviations: args.abbreviations,
            text: args.text,
            max_rejects: args.max_rejects,
            read: ReadOptions {
                accept_partial: args.accept_partial,
                limit: args.limit.map(|limit| limit.get() as u64),
                format: args.input_format,
                columns: TextColumns { id: args.id_column, title: args.title_column, text: args.text_column },
                output: Some(args.output),
            },
            overwrite: args.overwrite,
            grace: args.grace.0,
        }
    }

    /// How much of a document the model reads at a time: what the user says, else what the model was trained with.
    pub fn context(&self, checkpoint: &Checkpoint) -> Context {
        self.context.unwrap_or_else(|| checkpoint.context_words().into())
    }

    /// Whether abbreviations are tagged by their definitions.
    pub fn abbreviations(&self, checkpoint: &Checkpoint) -> bool {
        self.abbreviations.is_on(checkpoint)
    }

    /// The settings that change what is written for the same input and model: they go into every fingerprint.
    ///
    /// Device, threads and token budget do not: they change results by no more than rounding does.
    pub fn decisive_settings(&self, checkpoint: &Checkpoint) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::from([
            ("aggregation".to_owned(), self.aggregation.to_string()),
            ("decode".to_owned(), self.decode.to_string()),
            ("text".to_owned(), self.text.to_string()),
        ]);
        // Absent unless set, so that a full run does not differ from one before these existed.
        let ReadOptions { accept_partial, limit, format, columns, output: _ } = &self.read;
        let context = Some(self.context(checkpoint)).filter(|context| *context != Context::Document);
        let given = [
            ("context", context.map(|context| context.to_string())),
            ("abbreviations", self.abbreviations(checkpoint).then(|| "on".to_owned())),
            ("limit", limit.map(|limit| limit.to_string())),
            ("input_format", format.map(|format| format.to_string())),
            ("id_column", columns.id.clone()),
            ("title_column", columns.title.clone()),
            ("text_column", columns.text.clone()),
            ("accept_partial", accept_partial.then(|| "true".to_owned())),
        ];
        settings.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if self.device.precision != Precision::F32 {
            settings.insert("precision".to_owned(), self.device.precision.to_string());
        }
        settings
    }
}

/// How many rejects a run forgives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxRejects {
    /// A share of all records met, from 0 to 1.
    Share(f64),
    /// A number of records.
    Count(u64),
}

impl MaxRejects {
    /// Whether so many rejects among so many records are too many.
    pub fn exceeded_by(self, rejects: u64, records: u64) -> bool {
        match self {
            Self::Share(share) => rejects as f64 > share * records as f64,
            Self::Count(count) => rejects > count,
        }
    }
}

impl Default for MaxRejects {
    fn default() -> Self {
        Self::Share(0.001)
    }
}

impl fmt::Display for MaxRejects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{}%", share * 100.0),
            Self::Count(count) => count.fmt(f),
        }
    }
}

impl FromStr for MaxRejects {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|p| (0.0..=100.0).contains(p)).map(|p: f64| Self::Share(p / 100.0))
            }
            None => text.parse().ok().map(Self::Count),
        };
        parsed.ok_or_else(|| "expected a share such as 0.1% or a whole number of records".to_owned())
    }
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, u64); 6] = [
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("GB", 1_000_000_000),
            ("MB", 1_000_000),
            ("G", 1 << 30),
            ("M", 1 << 20),
        ];
        let parsed = UNITS.iter().find_map(|(unit, bytes)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            (number > 0.0 && number.is_finite()).then_some(Self((number * *bytes as f64) as u64))
        });
        parsed.ok_or_else(|| "expected a size with its unit, such as 12GiB or 500MB".to_owned())
    }
}

/// How long the file at hand has to finish after a signal.
#[derive(Clone, Copy, Debug)]
pub struct Grace(pub Duration);

impl Default for Grace {
    fn default() -> Self {
        Self(Duration::from_secs(30))
    }
}

impl fmt::Display for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_secs_f64().fmt(f)
    }
}

impl FromStr for Grace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        time.map(Self).ok_or_else(|| "expected a number of seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_are_forgiven_by_share_or_by_number() {
        let tenth_of_percent: MaxRejects = "0.1%".parse().expect("a share");
        assert_eq!(tenth_of_percent, MaxRejects::default());
        assert!(!tenth_of_percent.exceeded_by(1, 1000));
        assert!(tenth_of_percent.exceeded_by(2, 1000));
        let three: MaxRejects = "3".parse().expect("a number");
        assert!(!three.exceeded_by(3, 4) && three.exceeded_by(4, 4_000_000));
        assert!(!MaxRejects::Count(0).exceeded_by(0, 0) && !MaxRejects::Share(0.0).exceeded_by(0, 0));
        for bad in ["", "-1", "101%", "0.5", "x%", "NaN%"] {
            assert!(bad.parse::<MaxRejects>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn memory_has_a_unit() {
        assert_eq!("12GiB".parse(), Ok(Bytes(12 << 30)));
        assert_eq!("1.5 GB".parse(), Ok(Bytes(1_500_000_000)));
        assert_eq!("500M".parse(), Ok(Bytes(500 << 20)));
        for bad in ["", "12", "GiB", "-1GiB", "0GiB", "NaNGB", "infGB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_printed_default_is_read_back() {
        assert_eq!(MaxRejects::default().to_string().parse(), Ok(MaxRejects::default()));
    }
}
