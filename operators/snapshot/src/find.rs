//! Finds one document, without a snapshot.

use std::collections::{HashMap, HashSet};

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use pubtag_schemas::table::Table;
use pubtag_schemas::tables::DocumentRow;

use crate::current::{Order, current};
use crate::inputs::Input;
use crate::key::{Entry, Key};
use crate::merge::Inputs;
use crate::rows::entries;
use crate::{Committed, Error, Generations, Parts};

/// What decides which row is current.
const COLUMNS: [&str; 5] = ["doc_id", "pmid", "pmid_version", "ordinal", "status"];

/// The row that a snapshot would have for a document, by its PMID or, if no citation has this PMID, by its `doc_id`: one row
/// in the columns of a snapshot. Of a document that is deleted, its newest deletion; `None` if no input that counts has it.
///
/// *Memory*: the states of the document, and one row group.
///
/// # Errors
/// The output cannot be read, or its tables do not fit together.
pub async fn find(
    parts: &dyn Parts,
    commits: &[Committed],
    generations: &Generations,
    id: &str,
) -> Result<Option<RecordBatch>, Error> {
    let commits: HashMap<i32, &Committed> =
        (0..).zip(commits.iter().filter(|commit| generations.counts(commit))).collect();
    let named: Vec<Input> = commits.iter().map(|(number, commit)| commit.input(*number)).collect();
    let inputs = Inputs { parts, commits, removed: HashSet::new(), order: Order::of(&named) };
    let states = states(&inputs, id).await?;
    let Some(state) = current(&states, &inputs.order).or_else(|| inputs.order.newest(&states)) else {
        return Ok(None);
    };
    let mut rows = inputs.read(state.input, HashSet::from([state.ordinal])).await?;
    let row = rows.remove(&(state.input, state.ordinal)).ok_or_else(|| inputs.missing(state))?;
    Ok(Some(row.batch.slice(row.index, 1)))
}

/// All states of a document.
async fn states(inputs: &Inputs<'_>, id: &str) -> Result<Vec<Entry>, Error> {
    let pmid = id.parse().ok().filter(|pmid: &i64| pmid.to_string() == id).map(Key::Pmid);
    let mut found = scan(inputs, |entry, doc_id| pmid.as_ref() == Some(&entry.key) || doc_id == id).await?;
    let keys: Vec<Key> = pmid.into_iter().chain([Key::DocId(id.to_owned())]).collect();
    let first = keys.iter().find(|key| found.iter().any(|entry| entry.key == **key));
    let Some(key) = first.or_else(|| inputs.order.newest(&found).map(|entry| &entry.key)).cloned() else {
        return Ok(Vec::new());
    };
    if !keys.contains(&key) {
        // The `doc_id` of a citation that has another number as its PMID: its other states may have another `doc_id`.
        found = scan(inputs, |entry, _| entry.key == key).await?;
    }
    found.retain(|entry| entry.key == key);
    Ok(found)
}

/// The rows of `documents` that are wanted by what they are a state of and their `doc_id`.
async fn scan(inputs: &Inputs<'_>, wanted: impl Fn(&Entry, &str) -> bool) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    for (number, commit) in &inputs.commits {
        for part in commit.parts(DocumentRow::NAME) {
            let mut batches = inputs.parts.rows(part, Some(&COLUMNS));
            while let Some(batch) = batches.try_next().await? {
                let ids = batch.column_by_name("doc_id").expect("it was asked for").as_string::<i32>();
                let states = entries(&batch, |_| *number).into_iter().zip(ids.iter().flatten());
                found.extend(states.filter(|(entry, id)| wanted(entry, id)).map(|(entry, _)| entry));
            }
        }
    }
    Ok(found)
}
