//! Annotated corpora, read whole: they are small.

use std::collections::BTreeSet;
use std::path::Path;

use pubtag_corpus::{Corpus, CorpusError, Diagnostics, Format, Item, TagOptions, open, segment};
use pubtag_schemas::AnnotatedDocument;
use serde::Serialize;

use super::corpus_arg::CorpusArg;
use crate::commands::corpus::log_diagnostics;
use crate::digest;
use crate::exit::{Exit, Failure};

/// The four categories of the NCBI Disease corpus (Doğan et al., 2014).
const NCBI: [&str; 4] = ["CompositeMention", "DiseaseClass", "Modifier", "SpecificDisease"];

/// What those are together.
const DISEASE: &str = "Disease";

/// What a category becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// The four categories of the NCBI Disease corpus are one, `Disease`; others stay as they are.
    #[default]
    Auto,
    /// Every category stays as it is.
    Category,
}

impl Labels {
    /// Renames the categories of a document's mentions.
    pub(crate) fn apply(self, document: &mut AnnotatedDocument) {
        for mention in &mut document.mentions {
            mention.category = self.name_of(&mention.category).to_owned();
        }
    }

    /// What a category is called.
    pub(crate) fn name_of(self, category: &str) -> &str {
        if self == Self::Auto && is_ncbi(category) { DISEASE } else { category }
    }
}

/// Whether a category is one of the NCBI Disease corpus.
pub(crate) fn is_ncbi(category: &str) -> bool {
    NCBI.contains(&category)
}

/// A corpus file, read and cut into sentences and tokens.
#[derive(Debug)]
pub(crate) struct Gold {
    /// The file, and what its categories are.
    pub(crate) corpus: CorpusArg,
    pub(crate) format: Format,
    /// SHA-256 of the file in hex; `None` for a corpus of several files.
    pub(crate) sha256: Option<String>,
    /// The types that the corpus annotates, sorted.
    pub(crate) types: Vec<String>,
    pub(crate) documents: Vec<AnnotatedDocument>,
}

impl Gold {
    /// Reads a corpus.
    ///
    /// # Errors
    /// It cannot be read, is of no known format, or no mention is in it.
    pub(crate) fn read(corpus: &CorpusArg, from: Option<Format>, labels: Labels) -> Result<Self, Failure> {
        let path = corpus.path.as_path();
        let failure = |error: CorpusError| Failure::new(Exit::Data, error);
        let Corpus { format, documents } = open(path, from, &TagOptions::default()).map_err(failure)?;
        let mut diagnostics = Diagnostics::default();
        let mut gold =
            Self { corpus: corpus.clone(), format, sha256: sha256(path)?, types: Vec::new(), documents: Vec::new() };
        for item in documents {
            match item.map_err(failure)? {
                Item::Diagnostic(diagnostic) => diagnostics.add(diagnostic),
                Item::Document(_, document) => {
                    let mut document = segment(&document).into_owned();
                    labels.apply(&mut document);
                    corpus.apply(&mut document);
                    gold.documents.push(document);
                }
            }
        }
        log_diagnostics(&diagnostics);
        if gold.mentions() == 0 {
            let of_types = corpus.types.as_ref().map_or_else(String::new, |types| format!(" of {}", types.join(", ")));
            let message = format!(
                "{} holds no mention{of_types}: there is nothing to learn from or to measure by",
                path.display()
            );
            return Err(Failure::new(Exit::Data, anyhow::Error::msg(message)));
        }
        gold.types = corpus.types.clone().unwrap_or_else(|| categories(&gold.documents));
        gold.types.sort_unstable();
        Ok(gold)
    }

    /// Leaves out the mentions of types that are not among these, and says why.
    ///
    /// # Errors
    /// No mention is left.
    pub(crate) fn keep(&mut self, types: &[String], why: &str) -> Result<(), Failure> {
        let path = self.corpus.path.display();
        let others: Vec<&str> = self.types.iter().filter(|name| !types.contains(name)).map(String::as_str).collect();
        if !others.is_empty() {
            tracing::warn!("{path}: not scored, because {why}: {}", others.join(", "));
        }
        for document in &mut self.documents {
            document.mentions.retain(|mention| types.contains(&mention.category));
        }
        if self.mentions() == 0 {
            let types = types.join(", ");
            return Err(Failure::configuration(format!(
                "{path} has no mention of {types}: there is nothing to score; rename its categories with map="
            )));
        }
        self.types.retain(|name| types.contains(name));
        Ok(())
    }

    /// How many mentions there are.
    pub(crate) fn mentions(&self) -> usize {
        self.documents.iter().map(|document| document.mentions.len()).sum()
    }

    /// How many sentences there are.
    pub(crate) fn sentences(&self) -> usize {
        self.documents.iter().map(|document| document.sentences.len()).sum()
    }
}

/// The categories of all mentions, sorted.
pub(crate) fn categories<'a>(documents: impl IntoIterator<Item = &'a AnnotatedDocument>) -> Vec<String> {
    let mentions = documents.into_iter().flat_map(|document| &document.mentions);
    mentions.map(|mention| mention.category.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn sha256(path: &Path) -> Result<Option<String>, Failure> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::new(Exit::Data, anyhow::Error::new(error).context(format!("cannot read {}", path.display())))
    })?;
    Ok(Some(digest::sha256(&bytes)))
}
