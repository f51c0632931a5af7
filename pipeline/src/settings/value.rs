//! Values of settings: parsed from a file as from the command line, and shown.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use pubtag_corpus::CorpusSpec;
use pubtag_store::{Address, StoreOptions};
use serde_json::{Value as Json, json};

use crate::cli::{
    Abbreviations, Aggregation, ByteSize, ClassWeights, ContextLimit, ContextWords, CorpusFormat, Decode, DeviceChoice,
    Fraction, InputFormat, LabelTokens, Labels, NotNegative, Positive, Precision, Reissued, SavedType, Shard, Share,
    Text, Tolerance, duration, show_duration, whole,
};

/// The type of a setting's value.
pub(crate) trait Value: Sized {
    /// Parses what a file says.
    ///
    /// # Errors
    /// Why it is not valid.
    fn parse(texts: &[String]) -> Result<Self, String>;

    /// The value as JSON; what is printed can be put into a settings file.
    fn to_json(&self) -> Json;
}

/// Parses a single value.
fn one<T, E: Display>(texts: &[String], parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, String> {
    match texts {
        [text] => parse(text).map_err(|error| format!("invalid value `{text}`: {error}")),
        _ => Err("expected a single value, not a list".to_owned()),
    }
}

impl<T: Value> Value for Option<T> {
    fn parse(texts: &[String]) -> Result<Self, String> {
        T::parse(texts).map(Some)
    }

    fn to_json(&self) -> Json {
        self.as_ref().map_or(Json::Null, T::to_json)
    }
}

impl<T: Value> Value for Vec<T> {
    fn parse(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| T::parse(std::slice::from_ref(text))).collect()
    }

    fn to_json(&self) -> Json {
        self.iter().map(T::to_json).collect()
    }
}

impl Value for Duration {
    fn parse(texts: &[String]) -> Result<Self, String> {
        one(texts, duration)
    }

    fn to_json(&self) -> Json {
        show_duration(*self).into()
    }
}

impl Value for String {
    fn parse(texts: &[String]) -> Result<Self, String> {
        one(texts, str::parse)
    }

    fn to_json(&self) -> Json {
        json!(self)
    }
}

impl Value for bool {
    fn parse(texts: &[String]) -> Result<Self, String> {
        one(texts, |text| text.parse().map_err(|_| "expected true or false"))
    }

    fn to_json(&self) -> Json {
        json!(self)
    }
}

/// Whole numbers.
macro_rules! whole {
    ($($type:ty),* $(,)?) => {$(
        impl Value for $type {
            fn parse(texts: &[String]) -> Result<Self, String> {
                one(texts, whole::<Self>)
            }

            fn to_json(&self) -> Json {
                json!(self)
            }
        }
    )*};
}

whole!(u64, NonZeroUsize);

impl Value for PathBuf {
    fn parse(texts: &[String]) -> Result<Self, String> {
        one(texts, str::parse)
    }

    fn to_json(&self) -> Json {
        // JSON has no place for a path that is not UTF-8.
        self.to_string_lossy().into()
    }
}

/// Numbers with a limit.
macro_rules! limited {
    ($($type:ty),* $(,)?) => {$(
        impl Value for $type {
            fn parse(texts: &[String]) -> Result<Self, String> {
                one(texts, str::parse)
            }

            fn to_json(&self) -> Json {
                json!(self.0)
            }
        }
    )*};
}

limited!(Fraction, NotNegative, Positive, Share);

/// Types that are parsed as they are printed.
macro_rules! printed {
    ($($type:ty),* $(,)?) => {$(
        impl Value for $type {
            fn parse(texts: &[String]) -> Result<Self, String> {
                one(texts, str::parse)
            }

            fn to_json(&self) -> Json {
                self.to_string().into()
            }
        }
    )*};
}

printed!(Address, ByteSize, ContextLimit, ContextWords, CorpusSpec, DeviceChoice, Shard, Tolerance);

impl Value for StoreOptions {
    fn parse(texts: &[String]) -> Result<Self, String> {
        // The value may be secret, so it is not repeated.
        match texts {
            [text] => text.parse().map_err(|error: pubtag_store::StoreError| error.to_string()),
            _ => Err("expected a single value, not a list".to_owned()),
        }
    }

    fn to_json(&self) -> Json {
        self.to_string().into()
    }
}

/// One of several names.
macro_rules! named {
    ($($type:ty),* $(,)?) => {$(
        impl Value for $type {
            fn parse(texts: &[String]) -> Result<Self, String> {
                one(texts, |text| Self::from_str(text, false).map_err(|_| format!("expected {}", names::<Self>())))
            }

            fn to_json(&self) -> Json {
                self.to_possible_value().map_or(Json::Null, |value| value.get_name().into())
            }
        }
    )*};
}

named!(
    Abbreviations,
    Aggregation,
    ClassWeights,
    CorpusFormat,
    Decode,
    InputFormat,
    LabelTokens,
    Labels,
    Precision,
    Reissued,
    SavedType,
    Text,
);

fn names<T: ValueEnum>() -> String {
    let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
}
