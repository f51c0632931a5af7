//! `pubtag config`.

use std::fmt::Write as _;
use std::io;

use clap::ArgMatches;
use serde::Serialize;

use crate::cli::{ConfigCommand, Configurable, ShowConfigArgs, ShowFormat};
use crate::exit::Failure;
use crate::night::Plan;
use crate::settings::{self, Effective};
use crate::terminal;

/// Prints the effective settings of a command.
///
/// # Errors
/// The settings file is not valid.
pub fn execute(command: ConfigCommand, matches: &ArgMatches) -> Result<io::Result<()>, Failure> {
    let ConfigCommand::Show(ShowConfigArgs { command, format }) = command;
    let matches = innermost(matches);
    let (command, settings) = match command {
        Configurable::Run(mut args) => ("run", settings::merge(&mut args, matches)?),
        Configurable::Train(mut args) => ("train", settings::merge(&mut args, matches)?),
        Configurable::Pretrain(mut args) => ("pretrain", settings::merge(&mut args, matches)?),
        Configurable::Nightly(args) => ("nightly", Plan::settings(&args.config)?),
    };
    let text = match format {
        ShowFormat::Table => table(&settings),
        ShowFormat::Json => serde_json::to_string_pretty(&Shown { command, settings })? + "\n",
    };
    Ok(terminal::print(&text))
}

/// The arguments of the last subcommand.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, matches)| innermost(matches))
}

/// What `--format json` prints.
#[derive(Debug, Serialize)]
struct Shown {
    command: &'static str,
    settings: Vec<Effective>,
}

fn table(settings: &[Effective]) -> String {
    let rows: Vec<[String; 3]> = settings.iter().map(row).collect();
    let heads = ["SETTING", "VALUE", "SOURCE"].map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, values) = (width(0), width(1));
    let mut text = String::new();
    for [name, value, source] in [&heads].into_iter().chain(&rows) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:names$}  {value:values$}  {source}");
    }
    text
}

fn row(Effective { name, value, source }: &Effective) -> [String; 3] {
    [name.clone(), plain(value), source.to_string()]
}

/// A value as it is written on the command line; a dash if there is none.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(values) if values.is_empty() => "-".to_owned(),
        serde_json::Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
