//! A settings file with a section for each of several commands.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches};
use pubtag_sync::without_credentials;
use serde_json::Value as Json;

use super::file::{Entry, SettingsFile, invalid};
use super::names::nearest;
use super::source::{Effective, Source};
use crate::cli::{Cli, Command};
use crate::exit::Failure;

/// The sections of a settings file; each has the options of one command.
#[derive(Debug)]
pub(crate) struct Sections {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Sections {
    /// Reads a file, which may have these sections and no other settings.
    ///
    /// # Errors
    /// It cannot be read, is neither TOML nor YAML, or has another section.
    pub(crate) fn read(path: &Path, sections: &[&str]) -> Result<Self, Failure> {
        let SettingsFile { entries, path } = SettingsFile::read(path)?;
        let mut named = entries.iter().map(|entry| entry.name.split_once('.').map_or(&*entry.name, |(name, _)| name));
        if let Some(unknown) = named.find(|name| !sections.contains(name)) {
            let known = sections.join("`, `");
            let error = anyhow!("unknown section `{unknown}`; expected one of `{known}`");
            return Err(invalid(&path, error));
        }
        Ok(Self { path, entries })
    }

    /// The values of a setting; none if the file does not have it.
    pub(crate) fn values(&self, section: &str, name: &str) -> &[String] {
        let name = format!("{section}.{name}");
        self.entries.iter().find(|entry| entry.name == name).map_or(&[], |entry| &entry.values)
    }

    /// The command with the options of its section, parsed as from the command line. `defaults` are options for what the
    /// section does not set; a name may be repeated.
    ///
    /// # Errors
    /// An option is unknown, missing or invalid.
    pub(crate) fn command(&self, section: &str, defaults: &[(&str, &str)]) -> Result<Command, Failure> {
        let matches = self.matches(section, defaults)?;
        let cli = Cli::from_arg_matches(&matches).map_err(|error| invalid(&self.path, clap_error(section, &error)))?;
        Ok(cli.command)
    }

    /// The settings of a section with their values and sources. Secrets are not shown.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub(crate) fn settings(&self, section: &str, defaults: &[(&str, &str)]) -> Result<Vec<Effective>, Failure> {
        let matches = self.matches(section, defaults)?;
        let Some((_, matches)) = matches.subcommand() else { return Ok(Vec::new()) };
        let cli = Cli::command();
        let arguments = cli.find_subcommand(section).into_iter().flat_map(|command| command.get_arguments());
        let settings = arguments.filter(|arg| is_setting(arg)).map(|arg| {
            let name = name(arg);
            let source = match matches.value_source(arg.get_id().as_str()) {
                Some(ValueSource::EnvVariable) => Source::Environment,
                _ if self.has(section, &name) => Source::File(self.path.clone()),
                _ => Source::Default,
            };
            Effective { name: format!("{section}.{name}"), value: value(arg, matches), source }
        });
        Ok(settings.collect())
    }

    fn matches(&self, section: &str, defaults: &[(&str, &str)]) -> Result<ArgMatches, Failure> {
        let parse = || {
            let arguments = self.arguments(section, defaults).with_context(|| format!("section `{section}`"))?;
            let arguments = ["pubtag".to_owned(), section.to_owned()].into_iter().chain(arguments);
            Cli::command().try_get_matches_from(arguments).map_err(|error| clap_error(section, &error))
        };
        parse().map_err(|error| invalid(&self.path, error))
    }

    fn has(&self, section: &str, name: &str) -> bool {
        let name = format!("{section}.{name}");
        self.entries.iter().any(|entry| entry.name == name)
    }

    fn arguments(&self, section: &str, defaults: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
        let cli = Cli::command();
        let command = cli.find_subcommand(section).with_context(|| format!("no command `{section}`"))?;
        let settings = command.get_arguments().filter(|arg| is_setting(arg));
        let known: Vec<(String, &Arg)> = settings.map(|arg| (name(arg), arg)).collect();
        let set = |entry: &Entry| entry.name.strip_prefix(section)?.strip_prefix('.').map(str::to_owned);
        let given = self.entries.iter().filter_map(|entry| Some((set(entry)?, entry.values.clone())));
        let given: Vec<(String, Vec<String>)> = given.collect();
        let missing = defaults.iter().filter(|(name, _)| given.iter().all(|(given, _)| given != name));
        let missing = missing.map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
        let (mut options, mut positional) = (Vec::new(), Vec::new());
        for (name, values) in given.iter().cloned().chain(missing) {
            let names = || known.iter().map(|(name, _)| name.as_str());
            let Some((_, arg)) = known.iter().find(|(known, _)| *known == name) else {
                let hint = nearest(&name, names()).map(|nearest| format!("; did you mean `{nearest}`?"));
                bail!("unknown setting `{name}`{}", hint.unwrap_or_default());
            };
            // clap takes these options for a command line, which would win over the environment.
            if arg.get_env().is_some_and(|variable| std::env::var_os(variable).is_some()) {
                continue;
            }
            match (arg.is_positional(), arg.get_action()) {
                (true, _) => positional.extend(values),
                (false, ArgAction::SetTrue) => match values.first().map(String::as_str) {
                    Some("true") => options.push(format!("--{name}")),
                    Some("false") => {}
                    _ => bail!("`{name}`: expected true or false"),
                },
                _ => options.extend(values.into_iter().map(|value| format!("--{name}={value}"))),
            }
        }
        if !positional.is_empty() {
            options.push("--".to_owned());
            options.extend(positional);
        }
        Ok(options)
    }
}

/// The name of an option in a file.
fn name(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| arg.get_id().as_str().replace('_', "-"), str::to_owned)
}

/// Whether a section may have an option: neither `--config` itself nor what every command has, nor what is for tests.
fn is_setting(arg: &Arg) -> bool {
    !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "config"
}

/// The value of an option; null without one.
fn value(arg: &Arg, matches: &ArgMatches) -> Json {
    let id = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return matches.get_flag(id).into();
    }
    let values = matches.get_raw(id).into_iter().flatten().map(|value| shown(id, &value.to_string_lossy()));
    let values: Vec<Json> = values.map(Json::from).collect();
    match arg.get_action() {
        ArgAction::Append => values.into(),
        _ => values.into_iter().next().unwrap_or_default(),
    }
}

/// A value without secrets.
fn shown(id: &str, value: &str) -> String {
    match value.split_once('=') {
        Some((key, _)) if id == "store_option" => format!("{key}=…"),
        _ if value.starts_with("http") => without_credentials(value),
        _ => value.to_owned(),
    }
}

fn clap_error(section: &str, error: &clap::Error) -> anyhow::Error {
    anyhow!(short(&error.to_string())).context(format!("section `{section}`"))
}

/// A message of clap without its usage, in one line.
fn short(message: &str) -> String {
    let lines = message.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let text = lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{RunArgs, RunOptions};
    use crate::exit::Exit;

    fn sections(toml: &str) -> Result<Sections, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("night.toml");
        std::fs::write(&path, toml).unwrap();
        Sections::read(&path, &["sync", "run"])
    }

    fn failure<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        let Failure { exit, error } = result.unwrap_err();
        assert_eq!(exit, Exit::Usage);
        format!("{error:#}")
    }

    #[test]
    fn a_section_is_parsed_like_the_commands_own_options() {
        let sections = sections(
            "[run]\noutput = '/out'\ninputs = ['a.xml', '-b.xml']\noverwrite = true\nno_cache = false\ngrace = '2m'\n",
        );
        let run = sections.unwrap().command("run", &[("output", "/other"), ("text", "hash")]).unwrap();
        let Command::Run(RunArgs { inputs, options, .. }) = run else { panic!("{run:?}") };
        let RunOptions { overwrite, no_cache, grace, text, .. } = options;
        assert_eq!(inputs, ["a.xml", "-b.xml"]);
        assert_eq!((overwrite, no_cache, grace.as_secs(), text), (true, false, 120, crate::cli::Text::Hash));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_section() {
        let unknown = failure(sections("[publish]\nto = 'x'\n"));
        assert!(unknown.contains("unknown section `publish`; expected one of `sync`, `run`"), "{unknown}");
        let misspelled = failure(sections("[run]\noutptu = 'x'\n").unwrap().command("run", &[]));
        assert!(misspelled.contains("section `run`: unknown setting `outptu`; did you mean `output`?"), "{misspelled}");
        let invalid = failure(sections("[sync]\ninto = 'x'\nconnections = 9\n").unwrap().command("sync", &[]));
        assert!(invalid.contains("section `sync`: invalid value '9' for '--connections"), "{invalid}");
        let missing = failure(sections("[sync]\nprune = true\n").unwrap().command("sync", &[]));
        assert!(missing.contains("--into"), "{missing}");
        let switch = failure(sections("[sync]\ninto = 'x'\nprune = 'yes'\n").unwrap().command("sync", &[]));
        assert!(switch.contains("`prune`: expected true or false"), "{switch}");
    }
}
