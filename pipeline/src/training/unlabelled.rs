//! Texts without annotations, and what teachers say of them.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use futures::StreamExt;
use pubtag_corpus::segment;
use pubtag_ner::train::{Teacher, check_teachers};
use pubtag_ner::{Checkpoint, Device, LabelSet, WordProbabilities};
use pubtag_pubmed::{Inputs, ReadOptions, Source, Unreadable};
use pubtag_schemas::{AnnotatedDocument, Citation, Outcome, Packet, Passage, Record};
use pubtag_stream::{CancellationToken, Meter};
use pubtag_tokenize::{Context, WindowTokenizer};
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};
use crate::figures::grouped;
use crate::runtime::runtime;
use crate::tokenizer;

/// Documents that a teacher reads at a time.
const READ_AT_ONCE: usize = 64;

/// Texts without annotations, as a model's record names them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TextFile {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) documents: usize,
}

/// A model that taught another, as the record names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TeacherModel {
    pub(crate) name: String,
    /// The fingerprint of its files.
    pub(crate) sha256: String,
}

/// The texts of a run, split into sentences.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) files: Vec<TextFile>,
    pub(crate) documents: Vec<AnnotatedDocument>,
}

/// Texts, and what the teachers say of each word.
///
/// *Memory:* all texts, and 4 bytes per word and label.
#[derive(Debug, Default)]
pub(crate) struct Taught {
    pub(crate) documents: Vec<AnnotatedDocument>,
    pub(crate) words: Vec<WordProbabilities>,
}

impl Texts {
    /// Reads inputs as `pubtag run` does.
    ///
    /// # Errors
    /// An input is damaged, or no document has a text.
    pub(crate) fn read(inputs: &[String]) -> Result<Self, Failure> {
        let options = ReadOptions::default();
        let Inputs { units, unreadable, .. } = pubtag_pubmed::discover(inputs, &options)?;
        if let Some(Unreadable { path, reason, kind }) = unreadable.first() {
            return Err(Failure::message((*kind).into(), format!("{path}: {reason}")));
        }
        let source = Source::new(units, options, CancellationToken::new());
        let texts = runtime(NonZeroUsize::MIN)?.block_on(Self::collect(source))?;
        if texts.documents.is_empty() {
            return Err(Failure::message(Exit::Data, format!("{}: no document has a text", inputs.join(", "))));
        }
        Ok(texts)
    }

    async fn collect(source: Source) -> Result<Self, Failure> {
        let mut texts = Self::default();
        let (mut before, mut rejects) = (0, 0);
        let mut packets = source.flow(Meter::new(Source::NAME));
        while let Some(packet) = packets.next().await {
            match packet? {
                Packet::Open(_) => (before, rejects) = (texts.documents.len(), 0),
                Packet::Items(records) => {
                    rejects += records.iter().filter(|record| matches!(record, Record::Reject(_))).count();
                    texts.documents.extend(records.into_iter().filter_map(document));
                }
                Packet::Close(close) => {
                    let uri = close.unit.uri();
                    if let Outcome::Quarantined(reason) = &close.outcome {
                        return Err(Failure::message(Exit::Data, reason.clone()));
                    }
                    if rejects > 0 {
                        tracing::warn!("{uri}: {rejects} records cannot be read and are left out");
                    }
                    let documents = texts.documents.len() - before;
                    tracing::info!("{uri}: {} documents without annotations", grouped(documents as u64));
                    texts.files.push(TextFile {
                        name: close.unit.file_name().to_owned(),
                        sha256: close.sha256,
                        documents,
                    });
                }
            }
        }
        Ok(texts)
    }

    /// Lets the teachers read the texts, one after another, each as `pubtag run` would read them with it.
    ///
    /// # Errors
    /// They do not know what the student learns, or one fails.
    pub(crate) fn teach(
        self,
        teachers: &[Checkpoint],
        labels: &LabelSet,
        device: Device,
        kernel_cache: Option<&PathBuf>,
    ) -> Result<Taught, Failure> {
        check_teachers(teachers, labels)?;
        let read = |checkpoint: &Checkpoint| {
            let mut teacher = Teacher::start(checkpoint, labels, device, kernel_cache.cloned())?;
            let context = Context::from(checkpoint.context_words());
            let tokenizer = tokenizer::open(checkpoint)?.with_context(context);
            tracing::info!("{} reads {} documents", checkpoint.name(), grouped(self.documents.len() as u64));
            read_all(&mut teacher, &tokenizer, &self.documents)
        };
        let said = teachers.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
        let of_document = |document: usize| -> Vec<_> { said.iter().map(|words| words[document].clone()).collect() };
        let together = |document| WordProbabilities::mean(&of_document(document), labels.outside());
        let words = (0..self.documents.len()).map(together).collect();
        Ok(Taught { documents: self.documents, words })
    }
}

fn read_all(
    teacher: &mut Teacher,
    tokenizer: &WindowTokenizer,
    documents: &[AnnotatedDocument],
) -> Result<Vec<WordProbabilities>, Failure> {
    let mut words = Vec::with_capacity(documents.len());
    for some in documents.chunks(READ_AT_ONCE) {
        let windows = some.iter().map(|document| Ok(tokenizer.tokenize(&document.text, &document.borders())?.windows));
        words.extend(teacher.read(&windows.collect::<Result<Vec<_>, Failure>>()?)?);
    }
    Ok(words)
}

impl Taught {
    /// Deals the documents out to the epochs, so that each reads other texts.
    pub(crate) fn by_epoch(self, epochs: NonZeroUsize) -> Vec<Self> {
        let mut parts: Vec<Self> = (0..epochs.get()).map(|_| Self::default()).collect();
        for (number, (document, words)) in self.documents.into_iter().zip(self.words).enumerate() {
            let part = &mut parts[number % epochs];
            part.documents.push(document);
            part.words.push(words);
        }
        parts
    }
}

/// Files of texts as a table in Markdown.
pub(super) fn text_table(files: &[TextFile]) -> String {
    let row = |file: &TextFile| format!("| {} | {} | `{}` |\n", file.name, file.documents, file.sha256);
    let rows: String = files.iter().map(row).collect();
    format!("| file | documents | SHA-256 |\n|---|---|---|\n{rows}")
}

/// Opens the teachers.
///
/// # Errors
/// One is not a model.
pub(crate) fn open(teachers: &[PathBuf]) -> Result<Vec<Checkpoint>, Failure> {
    teachers.iter().map(|teacher| Ok(Checkpoint::open(teacher.as_path())?)).collect()
}

impl From<&Checkpoint> for TeacherModel {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self { name: checkpoint.name(), sha256: checkpoint.fingerprint().to_owned() }
    }
}

/// A citation's text, split into sentences; `None` without text.
fn document(record: Record) -> Option<AnnotatedDocument> {
    let Record::Document(citation) = record else { return None };
    let Citation { doc_id, text, .. } = *citation;
    let passage = |bytes| Passage { kind: None, bytes, infons: Vec::new() };
    let passages = text.sections().iter().map(|section| passage(section.bytes.clone())).collect();
    let document =
        AnnotatedDocument { id: Some(doc_id), text: text.as_str().to_owned(), passages, ..Default::default() };
    (!document.text.trim().is_empty()).then(|| segment(&document).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_read_in_one_epoch() {
        let document = |text: &str| AnnotatedDocument { text: text.to_owned(), ..Default::default() };
        let documents: Vec<_> = ["a", "b", "c", "d", "e"].map(document).into();
        let words = vec![WordProbabilities::default(); documents.len()];
        let parts = Taught { documents, words }.by_epoch(NonZeroUsize::new(3).expect("not 0"));
        let texts: Vec<String> =
            parts.iter().map(|part| part.documents.iter().map(|document| document.text.as_str()).collect()).collect();
        assert_eq!(texts, ["ad", "be", "c"]);
        assert!(parts.iter().all(|part| part.words.len() == part.documents.len()));
    }
}
