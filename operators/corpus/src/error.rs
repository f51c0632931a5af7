//! What makes a whole file unusable.

use std::io;
use std::sync::Arc;

/// A defect of a file, not of one record: a record's defects are [`Diagnostic`](crate::Diagnostic)s.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The file cannot be opened or read.
    #[error("{file}: cannot be read")]
    Read {
        /// The file.
        file: Arc<str>,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{file}: cannot be written")]
    Write {
        /// The file.
        file: Arc<str>,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The output is there already, and nobody said that it may be replaced.
    #[error("{file}: already exists; choose another output, or replace it with --overwrite")]
    Exists {
        /// The file.
        file: Arc<str>,
    },
    /// The output is the input, or one lies in the other.
    #[error("{output}: would overwrite the input {input}; choose another output")]
    InPlace {
        /// The output.
        output: Arc<str>,
        /// The input.
        input: Arc<str>,
    },
    /// The file is not UTF-8.
    #[error("{file}:{line}: not UTF-8; convert the file (`iconv -f latin1 -t utf8`) and read it again")]
    Encoding {
        /// The file.
        file: Arc<str>,
        /// The first line that is not UTF-8, from 1.
        line: u64,
    },
    /// A line or record is larger than a reader holds in memory.
    #[error("{file}:{line}: a record of more than {limit} bytes; is this the format that it was read as?")]
    TooLarge {
        /// The file.
        file: Arc<str>,
        /// Where the record begins, from 1.
        line: u64,
        /// The most bytes that a record may have.
        limit: usize,
    },
    /// The file's markup breaks off or does not parse, so that no record after this place can be found.
    #[error("{file}:{line}: {what}")]
    Malformed {
        /// The file.
        file: Arc<str>,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file holds no document.
    #[error("{file}: no document in it; an empty split is not a corpus")]
    Empty {
        /// The file.
        file: Arc<str>,
    },
    /// The corpus has no mention.
    #[error("{file}: no mentions; nothing to learn from or evaluate on")]
    NoMention {
        /// The file.
        file: Arc<str>,
    },
    /// The corpus has no mention of the types wanted.
    #[error("{file}: no mention of {types}; rename its categories with map=")]
    NoMentionOf {
        /// The file.
        file: Arc<str>,
        /// The types, separated by commas.
        types: String,
    },
    /// The file holds records, and none of them could be read.
    #[error(
        "{file}: none of its {skipped} records could be read, the first because of {first}; name the format if it was guessed"
    )]
    NothingReadable {
        /// The file.
        file: Arc<str>,
        /// Records skipped.
        skipped: u64,
        /// The first of the diagnostics.
        first: String,
    },
    /// Of two files that belong together, one is missing.
    #[error("{file}: its partner {partner} is not there")]
    Unpaired {
        /// The file that is there.
        file: Arc<str>,
        /// The file that is not.
        partner: String,
    },
    /// Two files that go line by line have different numbers of lines.
    #[error("{shorter}:{line}: ends here, but {longer} has more lines; the two must go line by line")]
    Lengths {
        /// The file that ends first.
        shorter: Arc<str>,
        /// Its number of lines.
        line: u64,
        /// The file that goes on.
        longer: Arc<str>,
    },
    /// The format cannot be told from the file.
    #[error("{file}: of none of the formats known ({known}); name the format if it is one of them")]
    UnknownFormat {
        /// The file.
        file: Arc<str>,
        /// The formats known.
        known: String,
    },
    /// A path does not say one corpus.
    #[error("{file}: {what}")]
    Path {
        /// The path.
        file: Arc<str>,
        /// What is wrong with it, and the way out.
        what: String,
    },
}
