//! The steps of a night, from its settings file.

use std::path::Path;

use pubtag_store::Address;

use crate::cli::{Command, RunArgs, SnapshotArgs, SyncArgs, VerifyArgs};
use crate::config::missing;
use crate::exit::Failure;
use crate::settings::{Effective, Sections};

/// The steps with their settings. All of them are checked before the first one begins.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The output of all steps.
    pub(crate) output: Address,
    pub(crate) sync: SyncArgs,
    pub(crate) run: RunArgs,
    pub(crate) verify: VerifyArgs,
    pub(crate) snapshot: SnapshotArgs,
}

/// The sections of a settings file, which are the steps that have options.
const SECTIONS: [&str; 4] = ["sync", "run", "verify", "snapshot"];

impl Plan {
    /// Reads a settings file.
    ///
    /// # Errors
    /// A setting is unknown, missing or invalid.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let sections = Sections::read(path, &SECTIONS)?;
        let command = |section| sections.command(section, &defaults(&sections, section));
        let Command::Sync(sync) = command("sync")? else { return Err(mismatch("sync")) };
        let Command::Run(run) = command("run")? else { return Err(mismatch("run")) };
        let output = run.options.output.clone().ok_or_else(|| missing("`output` in section `run`"))?;
        let Command::Verify(verify) = command("verify")? else { return Err(mismatch("verify")) };
        let Command::Snapshot(snapshot) = command("snapshot")? else { return Err(mismatch("snapshot")) };
        Ok(Self { output, sync, run, verify, snapshot })
    }

    /// Every setting of a settings file as it is in effect, and where it comes from.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn settings(path: &Path) -> Result<Vec<Effective>, Failure> {
        Self::read(path)?;
        let sections = Sections::read(path, &SECTIONS)?;
        let settings = SECTIONS.map(|section| sections.settings(section, &defaults(&sections, section)));
        Ok(settings.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }
}

/// What a section has unless it says otherwise: inputs are those of the mirror, the output is that of `run`, and so are the
/// options of object stores.
fn defaults<'a>(sections: &'a Sections, section: &str) -> Vec<(&'static str, &'a str)> {
    let of = |section, name, default| sections.values(section, name).iter().map(move |value| (default, &**value));
    match section {
        "sync" => of("run", "store-option", "store-option").collect(),
        "run" => of("sync", "into", "inputs").collect(),
        _ => {
            let common = of("run", "output", "output").chain(of("run", "store-option", "store-option"));
            common.chain((section == "verify").then_some(("quick", "true"))).collect()
        }
    }
}

fn mismatch(section: &str) -> Failure {
    Failure::configuration(format!("section `{section}` is not that command's"))
}
