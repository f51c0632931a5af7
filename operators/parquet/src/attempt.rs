//! One attempt at one unit: its rows become parts, and the parts a commit.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use object_store::path::Path;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use pubtag_schemas::table::{Micros, Table};
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow, Status};
use pubtag_schemas::{
    COMMIT_VERSION, Close, Commit, CommitOutcome, Input, InputUnit, Part, SCHEMA_VERSION, TaggedRecord, Tally,
};
use pubtag_stream::{Fault, Meter, spawn_blocking};

use crate::encode::{Chunk, Encoder};
use crate::layout::{self, AttemptId};
use crate::rows::{Provenance, RowCounts, Rows};
use crate::upload::{Upload, check};
use crate::{Error, Output, WriteConfig};

/// A unit that is being written.
pub(crate) struct Attempt {
    pub(crate) unit: Arc<InputUnit>,
    id: AttemptId,
    /// Away on a blocking thread while it works.
    encoding: Option<Encoding>,
    uploads: HashMap<&'static str, Upload>,
    piece_bytes: NonZeroUsize,
    parts: Vec<Part>,
}

impl Attempt {
    pub(crate) fn begin(output: &Output, unit: Arc<InputUnit>, config: &WriteConfig) -> Result<Self, Error> {
        let id = output.next_attempt();
        let encoding = Some(Encoding::begin(&unit, id, config)?);
        Ok(Self { unit, id, encoding, uploads: HashMap::new(), piece_bytes: config.piece_bytes, parts: Vec::new() })
    }

    /// Encodes records on a blocking thread and sends what is ready to the store.
    pub(crate) async fn write(
        &mut self,
        output: &Output,
        records: Vec<TaggedRecord>,
        meter: &Meter,
    ) -> Result<(), Fault> {
        let mut encoding = self.encoding.take().expect("an encoding comes back from every write that did not fail");
        let (encoding, chunks) = spawn_blocking(meter, move || {
            let chunks = encoding.write(records);
            (encoding, chunks)
        })
        .await?;
        self.encoding = Some(encoding);
        self.send(output, chunks?, meter).await
    }

    /// Ends the parts, checks that they hold what the source met, and draws up the commit.
    pub(crate) async fn finish(
        mut self,
        output: &Output,
        close: &Close,
        sha256: String,
        outcome: CommitOutcome,
        config: &WriteConfig,
        meter: &Meter,
    ) -> Result<Commit, Fault> {
        let encoding = self.encoding.take().expect("an encoding comes back from every write that did not fail");
        let counts = encoding.counts.clone();
        check_reconciliation(&self.unit, &counts, close.tally)?;
        let chunks = spawn_blocking(meter, move || encoding.finish()).await?;
        self.send(output, chunks?, meter).await?;
        let spec = &config.spec;
        let key = spec.key(&self.unit, &sha256).into_owned();
        Ok(Commit {
            version: COMMIT_VERSION,
            fingerprint: spec.fingerprint(&key),
            input: Input::new(&self.unit, sha256, key),
            attempt_id: self.id.to_string(),
            run_id: self.id.run_id,
            model_id: spec.model_id.clone(),
            model_sha256: spec.model_sha256.clone(),
            settings: spec.settings.clone(),
            program: config.program.clone(),
            parts: self.parts,
            tally: close.tally,
            statuses: counts.statuses.iter().map(|(status, &rows)| (status.as_str().to_owned(), rows)).collect(),
            outcome,
            supersedes: Vec::new(),
            committed_at: jiff::Timestamp::now().to_string(),
        })
    }

    /// Gives up: what was written goes, or is left to the next sweep.
    pub(crate) async fn abandon(self, output: &Output) {
        for upload in self.uploads.into_values() {
            let path = upload.path().clone();
            if let Err(error) = upload.abort().await {
                tracing::warn!(error = &error as &dyn std::error::Error, part = %path, "an unfinished part stays for now");
            }
        }
        remove_parts(output, &self.parts).await;
    }

    /// Sends what is encoded to the store. A part that has ended is read back: no marker may name it unless it is there
    /// as it was sent.
    async fn send(&mut self, output: &Output, chunks: Vec<Chunk>, meter: &Meter) -> Result<(), Fault> {
        for Chunk { table, bytes, end } in chunks {
            let number = self.parts.iter().filter(|part| part.table == table).count();
            let path = || layout::part(table, &self.unit, self.id, number);
            let mut upload = self
                .uploads
                .remove(table)
                .unwrap_or_else(|| Upload::new(output.store().clone(), path(), self.piece_bytes));
            upload.put(bytes).await.map_err(output.failed("write", upload.path()))?;
            let Some(end) = end else {
                self.uploads.insert(table, upload);
                continue;
            };
            let path = upload.path().clone();
            upload.complete().await.map_err(output.failed("write", &path))?;
            let (table, name) = (table.to_owned(), path.to_string());
            let part = Part { table, path: name, rows: end.rows, bytes: end.bytes, sha256: end.sha256 };
            // Known before it is checked: what cannot be committed has to be removed.
            self.parts.push(part.clone());
            check(output, &part, meter).await?;
        }
        Ok(())
    }
}

/// Deletes parts that no marker names; what stays is swept by the next run.
pub(crate) async fn remove_parts(output: &Output, parts: &[Part]) {
    let paths = parts.iter().map(|part| Path::from(part.path.as_str())).collect();
    if let Err(error) = output.delete(paths).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "an uncommitted part stays for now");
    }
}

/// The reconciliation of a unit: each record met is one row of `documents` or of `rejects`.
fn check_reconciliation(unit: &InputUnit, counts: &RowCounts, tally: Tally) -> Result<(), Error> {
    let checks = [
        ("citations", counts.citations(), tally.citations),
        ("deletions", counts.status(Status::Deleted), tally.deletions),
        ("rejects", counts.rejects, tally.rejects),
    ];
    match checks.into_iter().find(|(_, rows, met)| rows != met) {
        None => Ok(()),
        Some((what, rows, met)) => Err(Error::Reconciliation { uri: unit.uri().to_owned(), what, rows, met }),
    }
}

/// The half of an attempt that computes: rows and encoders.
struct Encoding {
    uri: String,
    provenance: Provenance,
    counts: RowCounts,
    annotations: Encoder<AnnotationRow>,
    documents: Encoder<DocumentRow>,
    rejects: Encoder<RejectRow>,
}

impl Encoding {
    fn begin(unit: &InputUnit, id: AttemptId, config: &WriteConfig) -> Result<Self, Error> {
        let (bounds, metadata) = (config.bounds(), metadata(unit, id, config));
        let provenance = Provenance {
            run_id: id.run_id.to_string(),
            spec: config.spec.clone().into(),
            text: config.text,
            processed_at: Micros(jiff::Timestamp::now().as_microsecond()),
        };
        Ok(Self {
            uri: unit.uri().to_owned(),
            provenance,
            counts: RowCounts::default(),
            annotations: Encoder::new(bounds, metadata.clone()).map_err(encode_error::<AnnotationRow>(unit.uri()))?,
            documents: Encoder::new(bounds, metadata.clone()).map_err(encode_error::<DocumentRow>(unit.uri()))?,
            rejects: Encoder::new(bounds, metadata).map_err(encode_error::<RejectRow>(unit.uri()))?,
        })
    }

    fn write(&mut self, records: Vec<TaggedRecord>) -> Result<Vec<Chunk>, Error> {
        let (mut rows, mut chunks) = (Rows::default(), Vec::new());
        let mut annotate = |annotations: &[AnnotationRow]| {
            self.annotations.write(annotations, &mut chunks).map_err(encode_error::<AnnotationRow>(&self.uri))
        };
        for record in records {
            rows.push(record, &self.provenance, &mut self.counts, &mut annotate)?;
        }
        annotate(&rows.annotations)?;
        self.documents.write(&rows.documents, &mut chunks).map_err(encode_error::<DocumentRow>(&self.uri))?;
        self.rejects.write(&rows.rejects, &mut chunks).map_err(encode_error::<RejectRow>(&self.uri))?;
        Ok(chunks)
    }

    fn finish(self) -> Result<Vec<Chunk>, Error> {
        let mut chunks = Vec::new();
        self.annotations.finish(&mut chunks).map_err(encode_error::<AnnotationRow>(&self.uri))?;
        self.documents.finish(&mut chunks).map_err(encode_error::<DocumentRow>(&self.uri))?;
        self.rejects.finish(&mut chunks).map_err(encode_error::<RejectRow>(&self.uri))?;
        Ok(chunks)
    }
}

fn encode_error<T: Table>(uri: &str) -> impl Fn(ParquetError) -> Error {
    |source| Error::Encode { table: T::NAME, uri: uri.to_owned(), source }
}

/// What a part says of itself in its footer. Standard input's hash is not known yet when its parts begin.
fn metadata(unit: &InputUnit, id: AttemptId, config: &WriteConfig) -> Vec<KeyValue> {
    let key = unit.sha256.as_ref().map(|sha256| config.spec.key(unit, sha256));
    let fingerprint = key.map(|key| config.spec.fingerprint(&key));
    let known = [
        ("pubtag.schema_version", Some(SCHEMA_VERSION.to_string())),
        ("pubtag.attempt_id", Some(id.to_string())),
        ("pubtag.run_id", Some(id.run_id.to_string())),
        ("pubtag.model_id", Some(config.spec.model_id.clone())),
        ("pubtag.fingerprint", fingerprint),
        ("pubtag.input_uri", Some(unit.uri().to_owned())),
        ("pubtag.input_sha256", unit.sha256.clone()),
        ("pubtag.program", Some(config.program.clone())),
    ];
    known.into_iter().filter_map(|(key, value)| Some(KeyValue::new(key.to_owned(), value?))).collect()
}
