//! Makes a snapshot.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use futures::TryStreamExt;
use serde::Serialize;
use uuid::Uuid;

use crate::buckets::{BucketWriter, Written};
use crate::changes::ChangeWriter;
use crate::current::Order;
use crate::generations::Generations;
use crate::inputs::Input;
use crate::manifest::{Changes, Manifest};
use crate::merge::{Inputs, Outcome, merge};
use crate::nested::nested;
use crate::place::Place;
use crate::retention::{LONGEST_ATTEMPT, retain};
use crate::sort::{Sorted, Sorter};
use crate::{Baselines, Committed, Error, Parts};

/// How a snapshot is made.
#[derive(Clone, Debug)]
pub struct SnapshotConfig {
    /// Name and version of the program.
    pub program: String,
    /// The generation to put in force, whether or not its baseline is known to be complete.
    pub generation: Option<i32>,
    /// What else than the inputs is known of baselines.
    pub baselines: Baselines,
    /// Size in memory, in bytes, at which buckets are cut.
    pub bucket_bytes: u64,
    /// Bytes of new rows that are sorted in memory; more are sorted in temporary files.
    pub sort_bytes: usize,
    /// Directory for temporary files.
    pub scratch: PathBuf,
    /// Snapshots that are kept, with the new one.
    pub keep: NonZeroUsize,
    /// Whether a lock keeps other attempts away.
    pub is_alone: bool,
}

/// What a snapshot did.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its number.
    pub snapshot: u64,
    /// Whether it is new; otherwise nothing had changed.
    pub is_new: bool,
    /// Which generation is in force.
    pub generations: Generations,
    /// Inputs that it reflects.
    pub inputs: usize,
    /// Inputs that are new, and those that do not count any more.
    pub inputs_added: usize,
    /// Inputs of the former snapshot that do not count any more.
    pub inputs_removed: usize,
    /// Live citations.
    pub documents: u64,
    /// Their annotations.
    pub annotations: u64,
    /// Citations that were not in the former snapshot; all of them in the first.
    pub inserted: u64,
    /// Citations with another text, other annotations or other metadata.
    pub updated: u64,
    /// Citations that are not there any more.
    pub deleted: u64,
    /// Buckets.
    pub buckets: usize,
    /// Buckets that were written; the others were kept as they are.
    pub buckets_written: u64,
    /// Bytes of them.
    pub bytes_written: u64,
    /// Files of old snapshots and dead attempts that were removed.
    pub files_removed: u64,
}

/// Publishes the current state of an output, after `former`: one row per live citation.
///
/// `former` is the [latest](Manifest::latest) snapshot as it was before `commits` were read, so that it reflects no commit
/// that is not among them: such an input would be dropped.
///
/// *Memory*: `sort_bytes` about twice, and some buckets. *Cancellation*: dropping it leaves the published snapshot as it
/// is; the next attempt removes the files. *Concurrency*: of several attempts, one publishes; the others fail with
/// [`Error::Overtaken`].
///
/// # Errors
/// The output cannot be read, the place cannot be written, or a published file is damaged.
pub async fn snapshot(
    place: &Place,
    former: Option<Manifest>,
    parts: &dyn Parts,
    commits: &[Committed],
    config: &SnapshotConfig,
) -> Result<Summary, Error> {
    let started = Instant::now();
    let former = former.unwrap_or_else(Manifest::empty);
    let generations = Generations::of(commits, &config.baselines, former.generation, config.generation)?;
    let plan = Plan::new(&former, commits, &generations);
    if let Err(error) = former.check_buckets(place).await {
        return Err(unless_overtaken(error, &former, place).await?);
    }
    let is_new = former.snapshot == 0 || !plan.added.is_empty() || !plan.removed.is_empty();
    let (manifest, rewritten, bytes) = match is_new {
        true => {
            let (manifest, rewritten, bytes) = match plan.make(place, parts, &former, &generations, config).await {
                Err(error) => return Err(unless_overtaken(error, &former, place).await?),
                Ok(made) => made,
            };
            if started.elapsed() > LONGEST_ATTEMPT && !config.is_alone {
                return Err(Error::TooOld);
            }
            manifest.publish(place).await?;
            (manifest, rewritten, bytes)
        }
        false => (former.clone(), 0, 0),
    };
    manifest.point_to(place).await?;
    let files_removed = retain(place, config.keep, config.is_alone).await?;
    let changes = manifest.changes.clone().filter(|_| is_new).unwrap_or_default();
    let first = former.snapshot == 0;
    Ok(Summary {
        snapshot: manifest.snapshot,
        is_new,
        generations,
        inputs: manifest.inputs.len(),
        inputs_added: plan.added.len(),
        inputs_removed: plan.removed.len(),
        documents: manifest.documents,
        annotations: manifest.annotations,
        inserted: if first { manifest.documents } else { changes.inserted },
        updated: changes.updated,
        deleted: changes.deleted,
        buckets: manifest.buckets.len(),
        buckets_written: rewritten,
        bytes_written: bytes,
        files_removed,
    })
}

/// The error of an attempt that found a file damaged: another one may have published since, and removed what it does not need.
async fn unless_overtaken(error: Error, former: &Manifest, place: &Place) -> Result<Error, Error> {
    match error {
        Error::Damaged { .. } => Ok(former.overtaken(place).await?.unwrap_or(error)),
        other => Ok(other),
    }
}

/// What differs between the inputs of the former snapshot and those of the new one.
struct Plan<'a> {
    /// All inputs of the new snapshot.
    inputs: Vec<(Input, &'a Committed)>,
    /// Numbers of those that the former snapshot does not reflect.
    added: HashSet<i32>,
    /// Numbers of those that only the former snapshot reflects.
    removed: HashSet<i32>,
    next_input: i32,
}

impl<'a> Plan<'a> {
    fn new(former: &Manifest, commits: &'a [Committed], generations: &Generations) -> Self {
        let known: HashMap<&str, i32> = former.inputs.iter().map(|input| (&*input.attempt_id, input.number)).collect();
        let mut counting: Vec<&Committed> = commits.iter().filter(|commit| generations.counts(commit)).collect();
        counting.sort_by(|one, other| one.input(0).recency().cmp(&other.input(0).recency()));
        let mut plan =
            Self { inputs: Vec::new(), added: HashSet::new(), removed: HashSet::new(), next_input: former.next_input };
        for commit in counting {
            let number = known.get(&*commit.commit.attempt_id).copied().unwrap_or_else(|| {
                let number = plan.next_input;
                plan.next_input += 1;
                plan.added.insert(number);
                number
            });
            plan.inputs.push((commit.input(number), commit));
        }
        let kept: HashSet<i32> = plan.inputs.iter().map(|(input, _)| input.number).collect();
        plan.removed = known.into_values().filter(|number| !kept.contains(number)).collect();
        plan
    }

    /// Writes everything but the manifest. Also returns how many buckets were written, and their bytes.
    async fn make(
        &self,
        place: &Place,
        parts: &dyn Parts,
        former: &Manifest,
        generations: &Generations,
        config: &SnapshotConfig,
    ) -> Result<(Manifest, u64, u64), Error> {
        let attempt = Uuid::now_v7();
        let number = former.snapshot + 1;
        tracing::info!("snapshot {number}: reading {} new inputs", self.added.len());
        let new = self.sort(parts, config).await?;
        tracing::info!("snapshot {number}: merging them with {} buckets", former.buckets.len());
        let inputs = Inputs {
            parts,
            commits: self.inputs.iter().map(|(input, commit)| (input.number, *commit)).collect(),
            removed: self.removed.clone(),
            order: Order::of(self.inputs.iter().map(|(input, _)| input).chain(&former.inputs)),
        };
        let changes = || ChangeWriter::new(place, attempt, number, config.bucket_bytes);
        let mut outcome = Outcome {
            buckets: BucketWriter::new(place, attempt, config.bucket_bytes),
            changes: (former.snapshot > 0).then(changes),
        };
        merge(place, &former.buckets, &inputs, new, &mut outcome).await?;
        let changes: Option<Changes> = match outcome.changes {
            Some(changes) => Some(changes.finish().await?),
            None => None,
        };
        let Written { buckets, rewritten, bytes } = outcome.buckets.finish().await?;
        let manifest = Manifest {
            snapshot: number,
            attempt,
            created_at: jiff::Timestamp::now().to_string(),
            program: config.program.clone(),
            generation: generations.in_force,
            documents: buckets.iter().map(|bucket| bucket.documents.rows).sum(),
            annotations: buckets.iter().map(|bucket| bucket.annotations).sum(),
            buckets,
            changes,
            inputs: self.inputs.iter().map(|(input, _)| input.clone()).collect(),
            next_input: self.next_input,
            ..Manifest::empty()
        };
        Ok((manifest, rewritten, bytes))
    }

    /// The rows of the added inputs, in order of their keys.
    async fn sort(&self, parts: &dyn Parts, config: &SnapshotConfig) -> Result<Sorted, Error> {
        let mut sorter = Sorter::new(config.scratch.clone(), config.sort_bytes);
        for (input, commit) in self.inputs.iter().filter(|(input, _)| self.added.contains(&input.number)) {
            let mut batches = std::pin::pin!(nested(parts, commit));
            while let Some(batch) = batches.try_next().await? {
                sorter.push(&batch, input.number)?;
            }
        }
        sorter.finish()
    }
}
