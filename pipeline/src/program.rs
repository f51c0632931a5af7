//! From the command line to an exit code.

use std::borrow::Cow;
use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::commands;
use crate::exit::{Exit, Failure};
use crate::{allocator, settings_file, telemetry, terminal};

/// The program: reads the command line, does what it says, ends with an [`Exit`] code.
pub fn main() -> ExitCode {
    allocator::return_free_pages();
    let cli = parse();
    telemetry::init(cli.log_format, cli.quiet, cli.verbose);
    match execute(cli) {
        Ok(code) => ExitCode::from(code),
        Err(Failure { exit, error }) => {
            tracing::error!("{error:#}");
            exit.into()
        }
    }
}

/// The command line, with what a settings file adds to it; ends the program if it makes no sense.
fn parse() -> Cli {
    let mut command = Cli::command();
    let train = command.find_subcommand("train").into_iter().flat_map(clap::Command::get_arguments);
    let options: Vec<String> = train.filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    let args = settings_file::expand(std::env::args_os().collect(), &options)
        .unwrap_or_else(|error| exit(&command.error(clap::error::ErrorKind::Io, format!("{error:#}"))));
    Cli::try_parse_from(args).unwrap_or_else(|error| exit(&error))
}

/// Ends the program with what is to be said of its command line.
fn exit(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    if let Cow::Owned(safe) = terminal::page(&text) {
        terminal::eprint(&safe);
        std::process::exit(error.exit_code());
    }
    error.exit()
}

fn execute(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        Command::Run(args) => commands::run::execute(args, cli.quiet),
        Command::Convert(args) => to_stdout(commands::convert::execute(&args)?),
        Command::Corpus(command) => to_stdout(commands::corpus::execute(&command)?),
        Command::Train(args) => to_stdout(commands::train::execute(&args, cli.quiet)?),
        Command::Evaluate(args) => to_stdout(commands::evaluate::execute(&args)?),
        Command::Inspect(args) => to_stdout(commands::inspect::execute(&args)?),
        Command::Verify(args) => commands::verify::execute(&args, cli.quiet),
        Command::Show(args) => to_stdout(commands::show::execute(&args)?),
        Command::WarmUp(args) => to_stdout(commands::warm_up::execute(args)?),
        Command::SelfTest(args) => commands::self_test::execute(args),
        Command::Schema => to_stdout(commands::schema::execute()),
    }
}

/// A reader that has seen enough (`| head`) is no error.
fn to_stdout(written: io::Result<()>) -> Result<u8, Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Transient, error)),
        _ => Ok(Exit::Done.code()),
    }
}
