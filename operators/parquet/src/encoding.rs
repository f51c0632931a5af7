//! The CPU-bound half of an attempt: records to rows, and rows to the bytes of parts.

use std::collections::BTreeMap;

use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use pubtag_schemas::table::{Micros, Table};
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow, Status};
use pubtag_schemas::{InputUnit, SCHEMA_VERSION, TaggedRecord, Tally};

use crate::encode::{Chunk, Encoder};
use crate::layout::AttemptId;
use crate::rows::{Provenance, RowCounts, Rows};
use crate::{Error, WriteConfig};

/// The encoders of a unit's three tables.
pub(crate) struct Encoding {
    uri: String,
    provenance: Provenance,
    counts: RowCounts,
    annotations: Encoder<AnnotationRow>,
    documents: Encoder<DocumentRow>,
    rejects: Encoder<RejectRow>,
}

impl Encoding {
    pub(crate) fn begin(unit: &InputUnit, id: AttemptId, config: &WriteConfig) -> Result<Self, Error> {
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

    pub(crate) fn write(&mut self, records: Vec<TaggedRecord>) -> Result<Vec<Chunk>, Error> {
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

    /// Reconciles a unit: each record is one row of `documents` or `rejects`.
    pub(crate) fn check_reconciliation(&self, tally: Tally) -> Result<(), Error> {
        let checks = [
            ("citations", self.counts.citations(), tally.citations),
            ("deletions", self.counts.status(Status::Deleted), tally.deletions),
            ("rejects", self.counts.rejects, tally.rejects),
        ];
        match checks.into_iter().find(|(_, rows, met)| rows != met) {
            None => Ok(()),
            Some((what, rows, met)) => Err(Error::Reconciliation { uri: self.uri.clone(), what, rows, met }),
        }
    }

    /// Rows of `documents` by status.
    pub(crate) fn statuses(&self) -> BTreeMap<String, u64> {
        self.counts.statuses.iter().map(|(status, &rows)| (status.as_str().to_owned(), rows)).collect()
    }

    pub(crate) fn finish(self) -> Result<Vec<Chunk>, Error> {
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

/// The provenance in a part's footer. The hash of standard input is not known when its parts begin.
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
