//! Entries as Arrow columns, and back.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, Float32Array, ListArray, RecordBatch, StringArray, StructArray,
    UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float32Type, Schema, SchemaRef, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use pubtag_schemas::{Annotation, AnnotationSource};

use crate::entry::Entry;
use crate::key::Key;
use crate::spec::SpecId;

/// The index of the column that segments are sorted by.
pub(crate) const LOCUS: usize = 0;

static CONCEPT_ID: LazyLock<FieldRef> = LazyLock::new(|| Arc::new(Field::new("element", DataType::Utf8, false)));

static ANNOTATION: LazyLock<Fields> = LazyLock::new(|| {
    let field = |name, data_type| Field::new(name, data_type, false);
    Fields::from(vec![
        field("start_byte", DataType::UInt32),
        field("end_byte", DataType::UInt32),
        field("label", DataType::Utf8),
        field("score", DataType::Float32),
        field("source", DataType::Utf8),
        field("concept_ids", DataType::List(CONCEPT_ID.clone())),
    ])
});

static ANNOTATIONS: LazyLock<FieldRef> =
    LazyLock::new(|| Arc::new(Field::new("element", DataType::Struct(ANNOTATION.clone()), false)));

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = |name, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("locus", DataType::UInt64),
        field("sha256", DataType::FixedSizeBinary(32)),
        field("token_count", DataType::UInt32),
        field("window_count", DataType::UInt32),
        field("model_tokens", DataType::UInt32),
        field("annotations", DataType::List(ANNOTATIONS.clone())),
        field("checksum", DataType::UInt64),
    ]))
});

/// The schema of a segment.
pub(crate) fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// Entries as a batch.
pub(crate) fn to_batch(entries: &[Entry], spec: &SpecId) -> Result<RecordBatch, ArrowError> {
    let count =
        |count: fn(&Entry) -> u32| Arc::new(UInt32Array::from_iter_values(entries.iter().map(count))) as ArrayRef;
    let hashes = entries.iter().map(|entry| entry.key.sha256);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(entries.iter().map(|entry| entry.key.locus))),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(hashes.map(Some), 32)?),
        count(|entry| entry.token_count),
        count(|entry| entry.window_count),
        count(|entry| entry.model_tokens),
        Arc::new(annotations(entries)?),
        Arc::new(UInt64Array::from_iter_values(entries.iter().map(|entry| entry.checksum(spec)))),
    ];
    RecordBatch::try_new(schema(), columns)
}

fn annotations(entries: &[Entry]) -> Result<ListArray, ArrowError> {
    let all = || entries.iter().flat_map(|entry| &entry.annotations);
    let offsets = |offset: fn(&Annotation) -> usize| {
        let offsets = all().map(|annotation| u32::try_from(offset(annotation)));
        offsets.collect::<Result<UInt32Array, _>>().map_err(|error| ArrowError::ComputeError(error.to_string()))
    };
    let ids = StringArray::from_iter_values(all().flat_map(|annotation| &annotation.concept_ids));
    let lengths = OffsetBuffer::from_lengths(all().map(|annotation| annotation.concept_ids.len()));
    let members: Vec<ArrayRef> = vec![
        Arc::new(offsets(|annotation| annotation.bytes.start)?),
        Arc::new(offsets(|annotation| annotation.bytes.end)?),
        Arc::new(StringArray::from_iter_values(all().map(|annotation| &annotation.label))),
        Arc::new(Float32Array::from_iter_values(all().map(|annotation| annotation.score))),
        Arc::new(StringArray::from_iter_values(all().map(|annotation| annotation.source.as_str()))),
        Arc::new(ListArray::try_new(CONCEPT_ID.clone(), lengths, Arc::new(ids), None)?),
    ];
    let lengths = OffsetBuffer::from_lengths(entries.iter().map(|entry| entry.annotations.len()));
    let annotations = StructArray::try_new_with_length(ANNOTATION.clone(), members, None, all().count())?;
    ListArray::try_new(ANNOTATIONS.clone(), lengths, Arc::new(annotations), None)
}

/// What a search ends with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Found {
    /// No entry has the key.
    #[default]
    Nothing,
    /// An entry has the key, and its checksum does not match.
    Damaged,
    /// The entry.
    Entry(Entry),
}

/// Entries in a batch of [`schema`].
#[derive(Clone, Debug)]
pub(crate) struct Entries(RecordBatch);

impl Entries {
    /// The entries of a batch.
    ///
    /// # Errors
    /// The batch has other columns.
    pub(crate) fn of(batch: RecordBatch) -> Result<Self, String> {
        let (found, expected) = (batch.schema(), schema());
        let differs = |(found, expected): (&FieldRef, &FieldRef)| {
            found.name() != expected.name() || found.data_type() != expected.data_type()
        };
        let same = found.fields().len() == expected.fields().len();
        match same && !found.fields().iter().zip(expected.fields()).any(differs) && batch.num_rows() > 0 {
            true => Ok(Self(batch)),
            false => Err("unexpected columns".to_owned()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Size in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.get_array_memory_size()
    }

    fn loci(&self) -> &[u64] {
        self.0.column(LOCUS).as_primitive::<UInt64Type>().values()
    }

    /// The entry with this key.
    pub(crate) fn find(&self, key: &Key, spec: &SpecId) -> Found {
        let loci = self.loci();
        let first = loci.partition_point(|locus| *locus < key.locus);
        let mut rows = (first..loci.len()).take_while(|row| loci[*row] == key.locus);
        match rows.find(|row| self.sha256(*row) == key.sha256) {
            None => Found::Nothing,
            Some(row) => self.entry(row, spec).map_or(Found::Damaged, Found::Entry),
        }
    }

    fn sha256(&self, row: usize) -> &[u8] {
        self.0.column(1).as_fixed_size_binary().value(row)
    }

    /// The entry of a row; `None` if its checksum does not match.
    pub(crate) fn entry(&self, row: usize, spec: &SpecId) -> Option<Entry> {
        let number = |column: usize| self.0.column(column).as_primitive::<UInt32Type>().value(row);
        let key = Key { locus: self.loci()[row], sha256: self.sha256(row).try_into().ok()? };
        let found = self.0.column(5).as_list::<i32>().value(row);
        let [token_count, window_count, model_tokens] = [2, 3, 4].map(number);
        let entry =
            Entry { key, token_count, window_count, model_tokens, annotations: annotations_of(found.as_struct())? };
        let checksum = self.0.column(6).as_primitive::<UInt64Type>().value(row);
        (entry.checksum(spec) == checksum).then_some(entry)
    }
}

fn annotations_of(found: &StructArray) -> Option<Vec<Annotation>> {
    let (starts, ends) = (found.column(0).as_primitive::<UInt32Type>(), found.column(1).as_primitive::<UInt32Type>());
    let (labels, scores) = (found.column(2).as_string::<i32>(), found.column(3).as_primitive::<Float32Type>());
    let (sources, concept_ids) = (found.column(4).as_string::<i32>(), found.column(5).as_list::<i32>());
    let annotation = |row| {
        let ids = concept_ids.value(row);
        Some(Annotation {
            bytes: starts.value(row) as usize..ends.value(row) as usize,
            label: labels.value(row).to_owned(),
            score: scores.value(row),
            source: AnnotationSource::from_name(sources.value(row))?,
            concept_ids: ids.as_string::<i32>().iter().flatten().map(str::to_owned).collect(),
        })
    };
    (0..found.len()).map(annotation).collect()
}
