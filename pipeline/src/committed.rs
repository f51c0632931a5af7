//! The committed inputs of an output, as a snapshot reads them.

use arrow::array::RecordBatch;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use pubtag_parquet::Tables;
use pubtag_schemas::Part;
use pubtag_schemas::distribution;
use pubtag_snapshot::{Baselines, Committed, Generations, Manifest, Parts, Place};
use pubtag_store::{Address, Store, StoreOptions};
use pubtag_stream::Fault;

use crate::exit::Failure;
use crate::outputs;

/// The commits in force, with what the names of their inputs say.
pub(crate) fn committed(tables: &Tables) -> Vec<Committed> {
    let commits = tables.commits().iter().cloned();
    let committed = commits.map(|commit| {
        let name = commit.input.uri.rsplit('/').next().and_then(distribution);
        Committed { generation: name.map(|(year, _)| year), file_seq: name.map(|(_, number)| number), commit }
    });
    committed.collect()
}

/// Which generation is in force: that of a snapshot, including what the one in its usual place has published.
///
/// # Errors
/// The store fails, or the snapshot was written by a newer version.
pub(crate) async fn generations(
    output: &Address,
    options: &StoreOptions,
    commits: &[Committed],
) -> Result<Generations, Failure> {
    let published = match outputs::open(&snapshot_in(output), options)? {
        Some(store) => Manifest::latest(&place(&store)).await?.and_then(|manifest| manifest.generation),
        None => None,
    };
    Ok(Generations::of(commits, &Baselines::new(), published, None)?)
}

/// The usual place of the snapshot of an output.
pub(crate) fn snapshot_in(output: &Address) -> Address {
    output.join("snapshot")
}

/// The place of a snapshot.
pub(crate) fn place(store: &Store) -> Place {
    Place { name: store.name().to_owned(), store: store.objects().clone() }
}

/// Reads the parts of an output.
pub(crate) struct OutputParts(pub(crate) Tables);

impl Parts for OutputParts {
    fn rows<'a>(&'a self, part: &'a Part, columns: Option<&'a [&'a str]>) -> BoxStream<'a, Result<RecordBatch, Fault>> {
        self.0.part(part, columns).map_err(Fault::from).boxed()
    }
}
