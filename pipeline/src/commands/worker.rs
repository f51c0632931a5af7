//! `pubtag worker`.

use crate::cli::WorkerArgs;
use crate::commands::run::FAREWELL;
use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::runtime::runtime;
use crate::signals::Shutdown;
use crate::worker::{Worker, end_with_parent, lines};

/// Answers requests until standard input or its parent ends, or a signal arrives. The exit code is the worst of all answers.
///
/// # Errors
/// The settings are not valid, the model cannot be loaded, or requests or answers cannot be read or written.
pub fn execute(args: WorkerArgs, quiet: bool) -> Result<u8, Failure> {
    let config = RunConfig { single_input: true, ..RunConfig::without_inputs(args.options)? };
    end_with_parent()?;
    let runtime = runtime(config.tagger.device.threads)?;
    let served = runtime.block_on(async {
        let shutdown = Shutdown::listen(config.grace).map_err(|error| Failure::new(Exit::Internal, error))?;
        Worker::start(config, shutdown, quiet).await?.serve(lines()?).await
    });
    match &served {
        // Loading a model cannot be interrupted.
        Err(Failure { exit: Exit::Signal(_), .. }) => runtime.shutdown_background(),
        _ => runtime.shutdown_timeout(FAREWELL),
    }
    Ok(served?.code())
}
