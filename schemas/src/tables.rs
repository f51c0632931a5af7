//! The three tables: annotations, documents, rejects.
//!
//! Together, `documents` and `rejects` have one row per record of the input. Rows are never updated: snapshots and views
//! decide which row of a PMID is current (of each version, that of the newest input; of the versions that are not deleted,
//! the highest).

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::{DataType, Fields};

use crate::Date;
use crate::table::{Cell, Item, Micros, member, nested_id, table};

table! {
    AnnotationRow, "annotations", "One row per mention of an entity.", {
        1 => annotation_id: String, "Hash of document, version, text, span, label and model: the same mention has the same id in every run.";
        2 => doc_id: String, "Identifier of the document: the PMID in decimal, or the id given by its source.";
        3 => pmid: Option<i64>, "PMID; null for documents that are not PubMed citations.";
        4 => pmid_version: i32, "Version of the citation (`PMID@Version`), from 1.";
        5 => section: String, "`title`, the label of the abstract's segment (`METHODS`), or `abstract` if it has none.";
        6 => start_char: i32, "First character of the mention in title + one space + abstract, in Unicode code points, from 0.";
        7 => end_char: i32, "One past the mention's last character.";
        8 => start_byte: i32, "First byte of the mention in the same text, in UTF-8.";
        9 => end_byte: i32, "One past the mention's last byte.";
        10 => mention: String, "The mention, as written in the text.";
        11 => label: String, "Entity type (`Disease`).";
        12 => score: f32, "Probability of the chosen tag, averaged over the mention's words; if `source` is `abbreviation`, the score of the mention it was derived from.";
        13 => concept_ids: Option<Vec<String>>, "Identifiers of the concept; null until a linker fills it in.";
        14 => model_id: String, "Name of the model and the first 12 hex digits of its SHA-256.";
        15 => run_id: String, "The run that wrote the row (UUIDv7: sorts by time).";
        16 => generation: Option<i32>, "Year of the PubMed baseline of the input file; null if its name does not include it.";
        17 => file_seq: Option<i32>, "Number of the input file within its baseline year; null if its name does not include it.";
        18 => ordinal: i32, "Number of the record in its input file, from 0.";
        19 => source_file: String, "Name of the input file.";
        20 => source: Option<String>, "What found the mention: `model`, or `abbreviation` if the text defines it as the other form of a mention; null only in files written before this column existed.";
    }
}

table! {
    DocumentRow, "documents", "One row per citation and per deletion.", {
        1 => doc_id: String, "Identifier of the document: the PMID in decimal, or the id given by its source.";
        2 => pmid: Option<i64>, "PMID; null for documents that are not PubMed citations.";
        3 => pmid_version: i32, "Version of the citation (`PMID@Version`), from 1.";
        4 => title: Option<String>, "Title; null with `--text hash` and for deletions.";
        5 => r#abstract: Option<String>, "Abstract with the labels of its segments; null with `--text hash` and for deletions.";
        6 => text_sha256: Option<String>, "SHA-256 of title + one space + abstract in UTF-8, lower-case hex; null for deletions.";
        7 => sections: Vec<SectionRow>, "Ranges of the title and the abstract segments in the text, in characters.";
        8 => pub_date_raw: Option<String>, "Publication date as given by the journal (`2003 Spring`).";
        9 => pub_year: Option<i32>, "Year of publication.";
        10 => pub_date: Option<Date>, "Day of publication; null if the journal gives less than a full date.";
        11 => date_revised: Option<Date>, "Day of the record's last revision.";
        12 => journal: Option<String>, "ISO abbreviation of the journal, or its title.";
        13 => language: Option<String>, "MARC codes of the article's languages, joined by commas.";
        14 => has_abstract: bool, "Whether the citation has an abstract; otherwise only its title is tagged.";
        15 => char_count: i32, "Characters of the text (Unicode code points).";
        16 => token_count: i32, "Tokens of the text by the model's tokenizer, without special tokens.";
        17 => window_count: i32, "Windows in which the model read the text.";
        18 => annotation_count: i32, "Rows of `annotations` for this record.";
        19 => status: String, "`tagged`, `no_entity`, `no_text` or `deleted`.";
        20 => model_id: String, "Name of the model and the first 12 hex digits of its SHA-256.";
        21 => run_id: String, "The run that wrote the row (UUIDv7: sorts by time).";
        22 => processed_at: Micros, "When the row was created.";
        23 => generation: Option<i32>, "Year of the PubMed baseline of the input file; null if its name does not include it.";
        24 => file_seq: Option<i32>, "Number of the input file within its baseline year; null if its name does not include it.";
        25 => ordinal: i32, "Number of the record in its input file, from 0.";
        26 => source_file: String, "Name of the input file.";
        27 => cached: Option<bool>, "Whether the annotations are those of an earlier run on the same text, so that the model did not read it again; null only in files written before this column existed.";
    }
}

table! {
    RejectRow, "rejects", "One row per record that could not be read.", {
        1 => reason: String, "Class of the defect (`malformed`, `missing_id`, …).";
        2 => detail: String, "What exactly is wrong.";
        3 => pmid: Option<i64>, "PMID, if known.";
        4 => byte_offset: i64, "First byte of the record in the decompressed input; for Parquet, the row, from 0.";
        5 => raw: Vec<u8>, "The record's bytes, truncated to 64 KiB.";
        6 => run_id: String, "The run that wrote the row (UUIDv7: sorts by time).";
        7 => generation: Option<i32>, "Year of the PubMed baseline of the input file; null if its name does not include it.";
        8 => file_seq: Option<i32>, "Number of the input file within its baseline year; null if its name does not include it.";
        9 => ordinal: i32, "Number of the record in its input file, from 0.";
        10 => source_file: String, "Name of the input file.";
    }
}

/// One item of `documents.sections`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionRow {
    /// `title`, or the segment's label; null if it has none.
    pub label: Option<String>,
    /// NLM's category of the segment.
    pub nlm_category: Option<String>,
    /// First character in the text.
    pub start: i32,
    /// One past the last character.
    pub end: i32,
}

impl SectionRow {
    fn members(id: i32) -> Fields {
        Fields::from(vec![
            member::<Option<String>>(id, 0, "label"),
            member::<Option<String>>(id, 1, "nlm_category"),
            member::<i32>(id, 2, "start"),
            member::<i32>(id, 3, "end"),
        ])
    }
}

impl Item for SectionRow {}

impl Cell for SectionRow {
    fn data_type(id: i32) -> DataType {
        DataType::Struct(Self::members(id))
    }

    fn array<'a>(id: i32, values: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
        let rows: Vec<Option<&Self>> = values.collect();
        let rows = || rows.iter().copied();
        let arrays = vec![
            Option::<String>::array(nested_id(id, 0), rows().map(|row| row.map(|r| &r.label))),
            Option::<String>::array(nested_id(id, 1), rows().map(|row| row.map(|r| &r.nlm_category))),
            i32::array(nested_id(id, 2), rows().map(|row| row.map(|r| &r.start))),
            i32::array(nested_id(id, 3), rows().map(|row| row.map(|r| &r.end))),
        ];
        Arc::new(StructArray::new(Self::members(id), arrays, None))
    }

    fn heap_bytes(&self) -> usize {
        self.label.heap_bytes() + self.nlm_category.heap_bytes()
    }
}

/// The result of a record of `documents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// At least one annotation.
    Tagged,
    /// Read by the model, without annotations.
    NoEntity,
    /// Nothing to read: neither title nor abstract contains a token.
    NoText,
    /// A deletion.
    Deleted,
}

impl Status {
    /// The name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tagged => "tagged",
            Self::NoEntity => "no_entity",
            Self::NoText => "no_text",
            Self::Deleted => "deleted",
        }
    }
}
