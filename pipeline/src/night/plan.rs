//! The steps of a night, from its settings file.

use std::path::Path;

use pubtag_store::Address;

use crate::cli::{Command, RunArgs, SnapshotArgs, SyncArgs, VerifyArgs};
use crate::config::missing;
use crate::exit::Failure;
use crate::settings::Sections;

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

impl Plan {
    /// Reads a settings file.
    ///
    /// # Errors
    /// A setting is unknown, missing or invalid.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let sections = Sections::read(path, &["sync", "run", "verify", "snapshot"])?;
        let Command::Sync(sync) = sections.command("sync", &[])? else { return Err(mismatch("sync")) };
        let Command::Run(mut run) = sections.command("run", &[])? else { return Err(mismatch("run")) };
        if run.inputs.is_empty() {
            run.inputs = ["baseline", "updatefiles"].map(|folder| format!("{}/{folder}", sync.into.display())).into();
        }
        let output = run.output.clone().ok_or_else(|| missing("`output` in section `run`"))?;
        let mut defaults = vec![("output", sections.values("run", "output")[0].as_str())];
        defaults.extend(sections.values("run", "store-option").iter().map(|option| ("store-option", &**option)));
        let snapshot = sections.command("snapshot", &defaults)?;
        let Command::Snapshot(snapshot) = snapshot else { return Err(mismatch("snapshot")) };
        defaults.push(("quick", "true"));
        let Command::Verify(verify) = sections.command("verify", &defaults)? else { return Err(mismatch("verify")) };
        Ok(Self { output, sync, run, verify, snapshot })
    }
}

fn mismatch(section: &str) -> Failure {
    Failure::configuration(format!("section `{section}` is not that command's"))
}
