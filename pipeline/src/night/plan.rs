//! The steps of a night, from its settings file.

use std::path::{Path, PathBuf};

use pubtag_store::Address;

use crate::cli::{Command, RunArgs, SnapshotArgs, SyncArgs, VerifyArgs};
use crate::config::missing;
use crate::exit::Failure;
use crate::settings::Sections;

/// The steps with their settings. All of them are checked before the first one begins.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The output of all steps.
    pub(crate) output: PathBuf,
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
        let mirror = sync.into.display().to_string();
        let folders = ["baseline", "updatefiles"].map(|folder| format!("{mirror}/{folder}"));
        let Command::Run(mut run) = sections.command("run", &[])? else { return Err(mismatch("run")) };
        if run.inputs.is_empty() {
            run.inputs = folders.into();
        }
        let output = sections.value("run", "output").ok_or_else(|| missing("`output` in section `run`"))?;
        if Address::is_url(output) {
            let why = "nightly writes to a local directory; for an object store, use run and verify";
            return Err(Failure::configuration(format!("{output}: {why}")));
        }
        let verify = sections.command("verify", &[("output", output), ("quick", "true")])?;
        let Command::Verify(verify) = verify else { return Err(mismatch("verify")) };
        let snapshot = sections.command("snapshot", &[("output", output)])?;
        let Command::Snapshot(snapshot) = snapshot else { return Err(mismatch("snapshot")) };
        Ok(Self { output: output.into(), sync, run, verify, snapshot })
    }
}

fn mismatch(section: &str) -> Failure {
    Failure::configuration(format!("section `{section}` is not that command's"))
}
