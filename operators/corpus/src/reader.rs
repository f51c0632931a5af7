//! What every reader is: an iterator of documents and diagnostics, which ends with the file or with an error.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use pubtag_schemas::AnnotatedDocument;

use crate::CorpusError;
use crate::diagnostic::{Diagnostic, Effect, Spot};

/// An item that a reader yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A document and its first line.
    Document(Spot, Box<AnnotatedDocument>),
    /// A record that was skipped or changed, or that the data model cannot express.
    Diagnostic(Diagnostic),
}

/// A parser of one format.
pub(crate) trait Parse {
    /// Appends the items of the next record; `false` at the end of the input.
    fn step(&mut self, out: &mut VecDeque<Item>) -> Result<bool, CorpusError>;
}

/// The documents of a corpus, one at a time.
///
/// *Ordering:* that of the file. *Memory:* one document and its diagnostics. *Cancellation:* drop it. *Rejects:* a bad
/// record is an [`Item::Diagnostic`] with its place; a bad file ends with an `Err`. A file without a readable document is
/// bad.
pub struct Documents<'a> {
    parser: Box<dyn Parse + Send + 'a>,
    file: Arc<str>,
    queue: VecDeque<Item>,
    documents: u64,
    skipped: u64,
    first_skipped: Option<String>,
    done: bool,
}

impl fmt::Debug for Documents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents")
            .field("file", &self.file)
            .field("documents", &self.documents)
            .finish_non_exhaustive()
    }
}

impl<'a> Documents<'a> {
    pub(crate) fn new(file: &Arc<str>, parser: impl Parse + Send + 'a) -> Self {
        Self {
            parser: Box::new(parser),
            file: Arc::clone(file),
            queue: VecDeque::new(),
            documents: 0,
            skipped: 0,
            first_skipped: None,
            done: false,
        }
    }

    fn count(&mut self, item: &Item) {
        match item {
            Item::Document(..) => self.documents += 1,
            Item::Diagnostic(diagnostic) if diagnostic.kind.effect() == Effect::Skipped => {
                self.skipped += 1;
                self.first_skipped.get_or_insert_with(|| diagnostic.to_string());
            }
            Item::Diagnostic(_) => {}
        }
    }

    /// The end of the file: an error if it contained no document.
    fn end(&mut self) -> Option<CorpusError> {
        if self.documents > 0 {
            return None;
        }
        let file = Arc::clone(&self.file);
        Some(match self.first_skipped.take() {
            Some(first) => CorpusError::NothingReadable { file, skipped: self.skipped, first },
            None => CorpusError::Empty { file },
        })
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Item, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.queue.pop_front() {
                self.count(&item);
                return Some(Ok(item));
            }
            if self.done {
                return None;
            }
            match self.parser.step(&mut self.queue) {
                Ok(true) => {}
                Ok(false) if self.queue.is_empty() => {
                    self.done = true;
                    return self.end().map(Err);
                }
                Ok(false) => {}
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
