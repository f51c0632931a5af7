//! Merges the rows of new inputs into the buckets of the former snapshot.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::iter::Peekable;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use pubtag_schemas::snapshot::snapshot_schema;

use crate::buckets::BucketWriter;
use crate::changes::ChangeWriter;
use crate::current::{Order, current};
use crate::encode::{decode, decode_history};
use crate::key::{Entry, Key};
use crate::manifest::Bucket;
use crate::nested::nested;
use crate::place::Place;
use crate::rows::{Row, conform, entries};
use crate::sort::{Found, Sorted};
use crate::{Committed, Error, Parts};

/// What a merge needs to know about the inputs.
pub(crate) struct Inputs<'a> {
    pub(crate) parts: &'a dyn Parts,
    /// The inputs of the new snapshot by number.
    pub(crate) commits: HashMap<i32, &'a Committed>,
    /// Numbers of inputs of the former snapshot that do not count any more.
    pub(crate) removed: HashSet<i32>,
    /// All inputs of both.
    pub(crate) order: Order,
}

/// The writers of a new snapshot.
pub(crate) struct Outcome<'a> {
    pub(crate) buckets: BucketWriter<'a>,
    /// Absent for the first snapshot.
    pub(crate) changes: Option<ChangeWriter<'a>>,
}

/// Merges new rows, in order of their keys, into the former buckets. A bucket that nothing concerns is not read, except
/// its history if inputs were removed.
///
/// *Memory*: one encoded bucket with its history, and what the writers need.
pub(crate) async fn merge(
    place: &Place,
    former: &[Bucket],
    inputs: &Inputs<'_>,
    mut new: Sorted,
    outcome: &mut Outcome<'_>,
) -> Result<(), Error> {
    if former.is_empty() {
        outcome.buckets.begin(None).await?;
        let walk = Walk { inputs, former: Former::default(), until: None, at_hand: HashMap::new() };
        return walk.run(&mut new, outcome).await;
    }
    for (number, bucket) in former.iter().enumerate() {
        let until = former.get(number + 1).map(|next| &next.first);
        let is_new = new.key().is_some_and(|key| until.is_none_or(|until| key < until));
        if !is_new && inputs.removed.is_empty() {
            outcome.buckets.keep(bucket).await?;
            continue;
        }
        let history = read_history(place, bucket).await?;
        if !is_new && !history.iter().any(|entry| inputs.removed.contains(&entry.input)) {
            outcome.buckets.keep(bucket).await?;
            continue;
        }
        outcome.buckets.begin(Some(bucket)).await?;
        let at_hand = inputs.uncovered(&history).await?;
        let former = Former::read(place, bucket, history).await?;
        Walk { inputs, former, until, at_hand }.run(&mut new, outcome).await?;
    }
    Ok(())
}

async fn read_history(place: &Place, bucket: &Bucket) -> Result<Vec<Entry>, Error> {
    let bytes = place.read_data(&bucket.history).await?;
    decode_history(bytes).map_err(|error| place.damaged(&bucket.history, &format!("cannot be read ({error})")))
}

/// A bucket of the former snapshot, read in order.
struct Former {
    history: Peekable<std::vec::IntoIter<Entry>>,
    documents: Option<Documents>,
}

struct Documents {
    reader: ParquetRecordBatchReader,
    batch: Arc<RecordBatch>,
    keys: std::vec::IntoIter<Entry>,
    damaged: Box<dyn Fn(&str) -> Error + Send>,
}

impl Default for Former {
    fn default() -> Self {
        Self { history: Vec::new().into_iter().peekable(), documents: None }
    }
}

impl Former {
    async fn read(place: &Place, bucket: &Bucket, history: Vec<Entry>) -> Result<Self, Error> {
        let reader = decode(place.read_data(&bucket.documents).await?)?;
        let (place, file) = (place.clone(), bucket.documents.clone());
        let damaged = Box::new(move |why: &str| place.damaged(&file, why));
        let batch = Arc::new(RecordBatch::new_empty(snapshot_schema()));
        let documents = Documents { reader, batch, keys: Vec::new().into_iter(), damaged };
        Ok(Self { history: history.into_iter().peekable(), documents: Some(documents) })
    }
}

impl Documents {
    /// The next row, which must be that of a document.
    fn next(&mut self, key: &Key) -> Result<Row, Error> {
        let found = loop {
            if let Some(entry) = self.keys.next() {
                break entry.key;
            }
            let batch = self.reader.next().ok_or_else(|| (self.damaged)("has fewer rows than its history"))?;
            self.batch = Arc::new(conform(&batch?, &snapshot_schema())?);
            self.keys = entries(&self.batch, |_| 0).into_iter();
        };
        let index = self.batch.num_rows() - self.keys.len() - 1;
        match found == *key {
            true => Ok(Row { batch: self.batch.clone(), index }),
            false => Err((self.damaged)("does not match its history")),
        }
    }
}

/// One bucket's range of keys: former rows and new ones side by side.
struct Walk<'a> {
    inputs: &'a Inputs<'a>,
    former: Former,
    /// The first key of the next bucket.
    until: Option<&'a Key>,
    /// Rows that count again, because what superseded them was removed.
    at_hand: HashMap<(i32, i32), Row>,
}

impl Walk<'_> {
    async fn run(mut self, new: &mut Sorted, outcome: &mut Outcome<'_>) -> Result<(), Error> {
        while let Some(key) = self.next_key(new) {
            let former: Vec<Entry> =
                std::iter::from_fn(|| self.former.history.next_if(|entry| entry.key == key)).collect();
            let mut found = Vec::new();
            while new.key() == Some(&key) {
                found.extend(new.next()?);
            }
            self.document(&key, former, found, outcome).await?;
        }
        Ok(())
    }

    fn next_key(&mut self, new: &Sorted) -> Option<Key> {
        let new = new.key().filter(|key| self.until.is_none_or(|until| *key < until));
        let former = self.former.history.peek().map(|entry| &entry.key);
        [new, former].into_iter().flatten().min().cloned()
    }

    /// Decides which row of a document is current.
    async fn document(
        &mut self,
        key: &Key,
        former: Vec<Entry>,
        found: Vec<Found>,
        outcome: &mut Outcome<'_>,
    ) -> Result<(), Error> {
        let was = current(&former, &self.inputs.order).cloned();
        let former_row = match (&was, &mut self.former.documents) {
            (Some(_), Some(documents)) => Some(documents.next(key)?),
            _ => None,
        };
        let mut states = former;
        states.retain(|entry| !self.inputs.removed.contains(&entry.input));
        states.extend(found.iter().map(|found| found.entry.clone()));
        let is = current(&states, &self.inputs.order).cloned();
        let row = match &is {
            None => None,
            Some(is) if was.as_ref().is_some_and(|was| was.is(is)) => former_row.clone(),
            Some(is) => Some(self.row(is, found).await?),
        };
        if let Some(changes) = &mut outcome.changes
            && was != is
        {
            changes.push(former_row, row.clone()).await?;
        }
        outcome.buckets.push(states, row).await
    }

    /// The row of a state: among the new ones, at hand, or in the output.
    async fn row(&mut self, state: &Entry, found: Vec<Found>) -> Result<Row, Error> {
        if let Some(found) = found.into_iter().find(|found| found.entry.is(state)) {
            return Ok(found.row);
        }
        let place = (state.input, state.ordinal);
        if let Some(row) = self.at_hand.remove(&place) {
            return Ok(row);
        }
        let mut rows = self.inputs.read(state.input, HashSet::from([state.ordinal])).await?;
        rows.remove(&place).ok_or_else(|| self.inputs.missing(state))
    }
}

impl Inputs<'_> {
    /// Reads the rows of a bucket that count again once the removed inputs do not count, all at once.
    async fn uncovered(&self, history: &[Entry]) -> Result<HashMap<(i32, i32), Row>, Error> {
        let mut wanted = BTreeMap::<i32, HashSet<i32>>::new();
        for states in history.chunk_by(|one, other| one.key == other.key) {
            let kept = states.iter().filter(|entry| !self.removed.contains(&entry.input));
            let (was, is) = (current(states, &self.order), current(kept, &self.order));
            if let Some(is) = is
                && was.is_none_or(|was| !was.is(is))
            {
                wanted.entry(is.input).or_default().insert(is.ordinal);
            }
        }
        let mut rows = HashMap::new();
        for (input, ordinals) in wanted {
            rows.extend(self.read(input, ordinals).await?);
        }
        Ok(rows)
    }

    /// Reads some rows of an input.
    pub(crate) async fn read(&self, input: i32, ordinals: HashSet<i32>) -> Result<HashMap<(i32, i32), Row>, Error> {
        let Some(commit) = self.commits.get(&input) else { return Ok(HashMap::new()) };
        let mut batches = std::pin::pin!(nested(self.parts, commit));
        let mut rows = HashMap::new();
        while rows.len() < ordinals.len()
            && let Some(batch) = batches.try_next().await?
        {
            let found = entries(&batch, |_| input);
            let found = found.iter().enumerate().filter(|(_, entry)| ordinals.contains(&entry.ordinal));
            for (index, entry) in found {
                // One row each, so that the batch can be dropped.
                let batch = Arc::new(crate::rows::gather(&[Row { batch: Arc::new(batch.clone()), index }])?);
                rows.insert((input, entry.ordinal), Row { batch, index: 0 });
            }
        }
        Ok(rows)
    }

    pub(crate) fn missing(&self, state: &Entry) -> Error {
        let uri = self.commits.get(&state.input).map_or_else(String::new, |commit| commit.commit.input.uri.clone());
        Error::Inconsistent { uri, why: format!("record {} is missing", state.ordinal) }
    }
}
