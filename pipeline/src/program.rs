//! From the command line to an exit code.

use std::borrow::Cow;
use std::io;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command};
use crate::commands;
use crate::exit::{Exit, Failure};
use crate::settings::Configurable;
use crate::{allocator, settings, telemetry, terminal};

/// Runs the program; its exit code is that of an [`Exit`].
pub fn main() -> ExitCode {
    allocator::return_free_pages();
    let (cli, matches) = parse();
    telemetry::init(cli.log_format, cli.quiet, cli.verbose);
    match execute(cli, &matches) {
        Ok(code) => ExitCode::from(code),
        Err(Failure { exit, error }) => {
            tracing::error!("{error:#}");
            exit.into()
        }
    }
}

/// Parses the command line; ends the program if it is not valid.
fn parse() -> (Cli, ArgMatches) {
    let matches = Cli::command().try_get_matches().unwrap_or_else(|error| exit(&error));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| exit(&error));
    (cli, matches)
}

/// Ends the program with help, the version, or an error in the command line.
fn exit(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    if let Cow::Owned(safe) = terminal::page(&text) {
        terminal::eprint(&safe);
        std::process::exit(error.exit_code());
    }
    error.exit()
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

/// Arguments with the settings of their file.
fn merged<A: Configurable>(mut args: A, matches: &ArgMatches) -> Result<A, Failure> {
    settings::merge(&mut args, matches)?;
    Ok(args)
}

/// A closed pipe (`| head`) is not an error.
fn to_stdout(written: io::Result<()>) -> Result<u8, Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Transient, error)),
        _ => Ok(Exit::Done.code()),
    }
}
