//! The steps of a night, from its settings file.

use std::path::Path;

use pubtag_ner::Checkpoint;
use pubtag_store::Address;

use crate::bundled::named_or_bundled;
use crate::cli::{Command, RunArgs, SnapshotArgs, SyncArgs, VerifyArgs};
use crate::config::{RunConfig, missing};
use crate::device::choose;
use crate::exit::{Exit, Failure};
use crate::settings::{Effective, Sections};
use crate::tokenizer;

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
        refuse_less_than_all(&sync, &run)?;
        Ok(Self { output, sync, run, verify, snapshot })
    }

    /// Checks what a step would find out after others have done their work: places, model and device.
    ///
    /// # Errors
    /// Mirror and output are one place, or the model or device cannot be used.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Self { output, sync, run, .. } = self;
        if same_place(output, &sync.into) {
            return Err(Failure::configuration(format!(
                "{output}: both `into` in section `sync` and `output` in section `run`; choose another output"
            )));
        }
        RunConfig::check(run.clone())?;
        choose(&run.options.device.device)?;
        tokenizer::open(&Checkpoint::open(named_or_bundled(run.options.model.clone())?)?)?;
        Ok(())
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

/// Refuses settings with which a night would publish a part of PubMed as if it were all, or nothing.
fn refuse_less_than_all(sync: &SyncArgs, run: &RunArgs) -> Result<(), Failure> {
    let set = [
        (sync.dry_run, "`dry-run` in section `sync`"),
        (run.options.limit.is_some(), "`limit` in section `run`"),
        (run.shard.is_some(), "`shard` in section `run`"),
    ];
    match set.into_iter().find(|(is_set, _)| *is_set) {
        Some((_, name)) => Err(Failure::message(
            Exit::Usage,
            format!("{name} cannot be set for a night, which publishes all of PubMed"),
        )),
        None => Ok(()),
    }
}

fn same_place(one: &Address, other: &Address) -> bool {
    let real = |address: &Address| address.local().and_then(|path| path.canonicalize().ok());
    one == other || real(one).is_some_and(|path| real(other) == Some(path))
}

fn mismatch(section: &str) -> Failure {
    Failure::configuration(format!("section `{section}` is not that command's"))
}
