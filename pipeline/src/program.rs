//! From the command line to an exit code.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use pubtag_stream::{with_public_panics, without_panic};

use crate::cli::{Cli, Command};
use crate::commands;
use crate::exit::{Exit, Failure};
use crate::settings::Configurable;
use crate::{allocator, settings, telemetry, terminal};

/// Runs the program; its exit code is that of an [`Exit`].
pub fn main() -> ExitCode {
    ExitCode::from(run_arguments(std::env::args_os()))
}

/// Runs the program with these arguments, the first of which is its name; returns its exit code, that of an [`Exit`].
pub fn run_arguments(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    allocator::return_free_pages();
    let code = match parse(arguments) {
        Ok((cli, matches)) => execute_or_log(cli, &matches),
        Err(error) => explain(&error),
    };
    // In a program that is not Rust's, nobody else does. A closed pipe has been dealt with.
    let _ = terminal::stdout().flush();
    code
}

/// Parses the command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    Ok((cli, matches))
}

/// Prints help, the version, or an error in the command line; returns the exit code.
fn explain(error: &clap::Error) -> u8 {
    if let Some(variable) = empty_variable(error) {
        terminal::eprint(&format!("error: {variable} is empty; unset it\n"));
        return Exit::Usage.code();
    }
    match terminal::page(&error.render().to_string()) {
        Cow::Owned(safe) => terminal::eprint(&safe),
        // As with any output, nobody may be reading.
        Cow::Borrowed(_) => drop(error.print()),
    }
    u8::try_from(error.exit_code()).unwrap_or(u8::MAX)
}

/// The environment variable whose empty value clap takes for an option without one.
fn empty_variable(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return None };
    let long = option.strip_prefix("--")?.split(' ').next();
    let cli = Cli::command();
    let options = cli.get_subcommands().flat_map(clap::Command::get_arguments);
    let variable = options.filter(|arg| arg.get_long() == long).find_map(clap::Arg::get_env)?;
    let is_empty = std::env::var_os(variable).is_some_and(|value| value.is_empty());
    is_empty.then(|| variable.to_string_lossy().into_owned())
}

/// Runs a subcommand; logs its error.
fn execute_or_log(cli: Cli, matches: &ArgMatches) -> u8 {
    telemetry::init(cli.log_format, cli.quiet, cli.verbose);
    guarded(|| execute(cli, matches)).unwrap_or_else(|Failure { exit, error }| {
        tracing::error!("{error:#}");
        exit.code()
    })
}

fn execute(cli: Cli, matches: &ArgMatches) -> Result<u8, Failure> {
    let (_, matches) = matches.subcommand().expect("clap requires a subcommand");
    match cli.command {
        Command::Run(args) => commands::run::execute(merged(args, matches)?, cli.quiet),
        Command::Plan(args) => to_stdout(commands::plan::execute(merged(args, matches)?)?),
        Command::Worker(args) => commands::worker::execute(merged(args, matches)?, cli.quiet),
        Command::Convert(args) => to_stdout(commands::convert::execute(&args)?),
        Command::Corpus(command) => to_stdout(commands::corpus::execute(&command)?),
        Command::Train(args) => to_stdout(commands::train::execute(&merged(args, matches)?, cli.quiet)?),
        Command::Pretrain(args) => to_stdout(commands::pretrain::execute(&merged(args, matches)?, cli.quiet)?),
        Command::Evaluate(args) => to_stdout(commands::evaluate::execute(&args)?),
        Command::Inspect(args) => to_stdout(commands::inspect::execute(&args)?),
        Command::Verify(args) => commands::verify::execute(&args, cli.quiet),
        Command::Vacuum(args) => to_stdout(commands::vacuum::execute(&args)?),
        Command::Show(args) => to_stdout(commands::show::execute(&args)?),
        Command::Cache(command) => to_stdout(commands::cache::execute(&command)?),
        Command::Config(command) => to_stdout(commands::config::execute(command, matches)?),
        Command::WarmUp(args) => to_stdout(commands::warm_up::execute(args)?),
        Command::SelfTest(args) => commands::self_test::execute(args),
        Command::Snapshot(args) => commands::snapshot::execute(&args, cli.quiet),
        Command::Sync(args) => commands::sync::execute(&args, cli.quiet),
        Command::Nightly(args) => commands::nightly::execute(&args, cli.quiet),
        Command::Schema => to_stdout(commands::schema::execute()),
    }
}

/// Turns a panic into a failure. It is not private to its catcher: work on other threads may depend on what it left half done.
fn guarded<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let called = without_panic(|| with_public_panics(call));
    let bug = |message| format!("this is a bug in pubtag, please report it: {message}");
    called.unwrap_or_else(|message| Err(Failure::message(Exit::Internal, bug(message))))
}

/// Arguments with the settings of their file.
fn merged<A: Configurable>(mut args: A, matches: &ArgMatches) -> Result<A, Failure> {
    settings::merge(&mut args, matches)?;
    Ok(args)
}

/// A closed pipe (`| head`) is not an error.
fn to_stdout(written: io::Result<()>) -> Result<u8, Failure> {
    terminal::printed(written).map(|()| Exit::Done.code())
}
