//! An annotated corpus read whole, as training and evaluation need it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::Path;

use pubtag_schemas::{AnnotatedDocument, hex};
use sha2::{Digest, Sha256};

use crate::diagnostic::{DiagnosticKind, Diagnostics};
use crate::files::{Corpus, name_of, open, open_file};
use crate::ncbi::Labels;
use crate::reader::Item;
use crate::segment::segment;
use crate::spec::CorpusSpec;
use crate::tagged::TagOptions;
use crate::tagging::untaggable;
use crate::{CorpusError, Format};

/// The documents of a corpus, split into sentences and tokens.
///
/// *Memory:* the whole corpus; annotated corpora are small.
#[derive(Clone, Debug)]
pub struct Gold {
    /// The corpus as it was named.
    pub corpus: CorpusSpec,
    /// Its format, given or detected.
    pub format: Format,
    /// SHA-256 of the file's content, decompressed, in hex; `None` for a corpus of several files.
    pub sha256: Option<String>,
    /// The types that the corpus annotates, sorted.
    pub types: Vec<String>,
    /// Its documents.
    pub documents: Vec<AnnotatedDocument>,
    /// What could not be read and is not among them: mentions, or sentences and records with all of theirs; see also
    /// [`untaggable`](crate::untaggable).
    pub left_out: BTreeMap<DiagnosticKind, u64>,
    /// Categories that `corpus` maps, but no mention has.
    pub unmapped: Vec<String>,
}

impl Gold {
    /// Reads a corpus; what it skips or changes is added to `diagnostics`, also if it fails.
    ///
    /// # Errors
    /// The corpus cannot be read, has an unknown format, or has no mention of the types in `corpus`.
    pub fn read(
        corpus: &CorpusSpec,
        format: Option<Format>,
        labels: Labels,
        diagnostics: &mut Diagnostics,
    ) -> Result<Self, CorpusError> {
        let path = corpus.path.as_path();
        let Corpus { format, documents } = open(path, format, &TagOptions::default())?;
        let mut gold = Self {
            corpus: corpus.clone(),
            format,
            sha256: sha256(path)?,
            types: Vec::new(),
            documents: Vec::new(),
            left_out: BTreeMap::new(),
            unmapped: Vec::new(),
        };
        let mut read = BTreeSet::new();
        for item in documents {
            match item? {
                Item::Diagnostic(diagnostic) => {
                    if diagnostic.kind.is_loss() {
                        *gold.left_out.entry(diagnostic.kind).or_default() += diagnostic.count;
                    }
                    diagnostics.add(diagnostic);
                }
                Item::Document(_, document) => {
                    let mut document = segment(&document).into_owned();
                    read.extend(document.mentions.iter().map(|mention| mention.category.clone()));
                    corpus.apply(labels, &mut document);
                    gold.documents.push(document);
                }
            }
        }
        gold.unmapped = corpus.unknown(labels, &read).into_iter().map(str::to_owned).collect();
        gold.require_mentions(corpus.types.as_deref())?;
        gold.types = corpus.types.clone().unwrap_or_else(|| categories(&gold.documents));
        gold.types.sort_unstable();
        Ok(gold)
    }

    /// Keeps only mentions of these types, and returns the other types that the corpus annotates.
    ///
    /// # Errors
    /// No mention is left.
    pub fn keep_types(&mut self, types: &[String]) -> Result<Vec<String>, CorpusError> {
        let (kept, dropped) = std::mem::take(&mut self.types).into_iter().partition(|name| types.contains(name));
        self.types = kept;
        for document in &mut self.documents {
            document.mentions.retain(|mention| types.contains(&mention.category));
        }
        self.require_mentions(Some(types))?;
        Ok(dropped)
    }

    /// The mentions that tags cannot express, by the reason.
    pub fn untaggable(&self) -> BTreeMap<DiagnosticKind, u64> {
        let mut counts = BTreeMap::new();
        for (kind, count) in self.documents.iter().flat_map(untaggable) {
            *counts.entry(kind).or_default() += count;
        }
        counts
    }

    fn require_mentions(&self, types: Option<&[String]>) -> Result<(), CorpusError> {
        let file = || name_of(&self.corpus.path);
        match types {
            _ if self.mentions() > 0 => Ok(()),
            Some(types) => Err(CorpusError::NoMentionOf { file: file(), types: types.join(", ") }),
            None => Err(CorpusError::NoMention { file: file() }),
        }
    }

    /// Number of mentions.
    pub fn mentions(&self) -> usize {
        self.documents.iter().map(|document| document.mentions.len()).sum()
    }

    /// Number of sentences.
    pub fn sentences(&self) -> usize {
        self.documents.iter().map(|document| document.sentences.len()).sum()
    }
}

/// The categories of all mentions, sorted.
pub fn categories<'a>(documents: impl IntoIterator<Item = &'a AnnotatedDocument>) -> Vec<String> {
    let mentions = documents.into_iter().flat_map(|document| &document.mentions);
    mentions.map(|mention| mention.category.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Hashes the content rather than the bytes on disk, so that compressing a training file does not hide it.
fn sha256(path: &Path) -> Result<Option<String>, CorpusError> {
    if !path.is_file() {
        return Ok(None);
    }
    let mut content = open_file(path)?;
    let mut hash = Sha256::new();
    loop {
        let bytes = content.fill_buf().map_err(|source| CorpusError::Read { file: name_of(path), source })?;
        if bytes.is_empty() {
            return Ok(Some(hex(hash.finalize())));
        }
        hash.update(bytes);
        let read = bytes.len();
        content.consume(read);
    }
}
