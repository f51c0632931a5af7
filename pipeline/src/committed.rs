//! The committed inputs of an output, as a snapshot reads them.

use arrow::array::RecordBatch;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use pubtag_parquet::Tables;
use pubtag_pubmed::distribution;
use pubtag_schemas::Part;
use pubtag_snapshot::{Committed, Parts};
use pubtag_stream::Fault;

/// The commits in force, with what the names of their inputs say.
pub(crate) fn committed(tables: &Tables) -> Vec<Committed> {
    let commits = tables.commits().iter().cloned();
    let committed = commits.map(|commit| {
        let name = commit.input.uri.rsplit('/').next().and_then(distribution);
        Committed { generation: name.map(|(year, _)| year), file_seq: name.map(|(_, number)| number), commit }
    });
    committed.collect()
}

/// Reads the parts of an output.
pub(crate) struct OutputParts(pub(crate) Tables);

impl Parts for OutputParts {
    fn rows<'a>(&'a self, part: &'a Part) -> BoxStream<'a, Result<RecordBatch, Fault>> {
        self.0.part(part).map_err(Fault::from).boxed()
    }
}
