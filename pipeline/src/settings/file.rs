//! A settings file: `--config FILE`, TOML or YAML.
//!
//! Keys are the long names of the command's options, with `-` or `_`. A corpus with options may be a table of `file`,
//! `types`, `weight` and `map`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value as Json};

use super::value::Value;
use crate::exit::{Exit, Failure};

/// The largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    /// What no setting has taken yet.
    pub(super) entries: Vec<Entry>,
}

/// A setting in a file: its name, with nested keys joined by dots, and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

impl SettingsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is neither TOML nor YAML.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text));
        read.map_err(|error| unreadable(path, error))?;
        Self::parse(path, &text).map_err(|error| invalid(path, error))
    }

    fn parse(path: &Path, text: &str) -> anyhow::Result<Self> {
        if text.len() as u64 > LIMIT {
            bail!("file is larger than {LIMIT} bytes");
        }
        let parsed: Json = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => toml::from_str(text)?,
            Some("yaml" | "yml") => serde_saphyr::from_str(text).map_err(yaml)?,
            _ => bail!("unknown format: expected the extension .toml, .yaml or .yml"),
        };
        let mut entries = Vec::new();
        flatten(String::new(), &parsed, &mut entries)?;
        Ok(Self { path: path.to_owned(), entries })
    }

    /// Takes a setting out, if the file has it.
    ///
    /// # Errors
    /// It is set twice (perhaps once by another tool's name), or its value is not valid.
    pub(super) fn take<T: Value>(&mut self, name: &str) -> anyhow::Result<Option<T>> {
        let mut taken = self.entries.extract_if(.., |entry| entry.name == name);
        let Some(entry) = taken.next() else { return Ok(None) };
        if taken.next().is_some() {
            bail!("`{name}` is set twice");
        }
        T::parse(&entry.values).map(Some).map_err(|error| anyhow!("`{name}`: {error}"))
    }
}

/// The failure of a file that says something wrong.
pub(super) fn invalid(path: &Path, error: anyhow::Error) -> Failure {
    Failure::new(Exit::Usage, error.context(format!("invalid settings in {}", path.display())))
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Failure::message(Exit::Usage, format!("cannot read {path}: no such file")),
        _ => Failure::new(Exit::Usage, anyhow::Error::new(error).context(format!("cannot read {path}"))),
    }
}

/// What is wrong with YAML, in our words where the library's are for programmers.
fn yaml(error: serde_saphyr::Error) -> anyhow::Error {
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), location } => {
            anyhow!("line {}: {key} is set twice", location.line())
        }
        _ => error.into(),
    }
}

fn flatten(prefix: String, value: &Json, entries: &mut Vec<Entry>) -> anyhow::Result<()> {
    let element = |value: &Json| match value {
        Json::Object(table) => corpus(table).with_context(|| prefix.clone()),
        value => scalar(value).with_context(|| prefix.clone()),
    };
    let values = match value {
        Json::Object(keys) => {
            return keys.iter().try_for_each(|(key, value)| {
                let key = key.replace('_', "-");
                flatten(if prefix.is_empty() { key } else { format!("{prefix}.{key}") }, value, entries)
            });
        }
        Json::Null => return Ok(()),
        Json::Array(values) => values.iter().map(element).collect::<anyhow::Result<_>>()?,
        value => vec![element(value)?],
    };
    entries.push(Entry { name: prefix, values });
    Ok(())
}

fn scalar(value: &Json) -> anyhow::Result<String> {
    match value {
        Json::String(text) => Ok(text.clone()),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(on) => Ok(on.to_string()),
        _ => bail!("expected a string, a number, true, false, or a list of these"),
    }
}

/// A corpus with options, given as a table, in the form of the command line: `FILE:types=A,B:weight=2`.
fn corpus(table: &Map<String, Json>) -> anyhow::Result<String> {
    let file = table.get("file").context("a corpus table needs the key `file`")?;
    let mut argument = scalar(file)?;
    for (key, value) in table.iter().filter(|(key, _)| *key != "file") {
        let value = match value {
            Json::Array(names) => names.iter().map(name).collect::<anyhow::Result<Vec<_>>>()?.join(","),
            Json::Object(pairs) => {
                let pair = |(from, to): (&String, &Json)| Ok(format!("{}={}", name(&from.as_str().into())?, name(to)?));
                pairs.iter().map(pair).collect::<anyhow::Result<Vec<_>>>()?.join(",")
            }
            value => scalar(value)?,
        };
        argument += &format!(":{key}={value}");
    }
    Ok(argument)
}

/// A name in a list, where commas, colons and equals signs are separators.
fn name(value: &Json) -> anyhow::Result<String> {
    let name = scalar(value)?;
    if name.contains([',', ':', '=']) {
        bail!("`{name}`: a type or category cannot contain a comma, a colon or an equals sign");
    }
    Ok(name)
}
