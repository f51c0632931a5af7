//! Errors that make a whole file unusable.

use std::io;
use std::sync::Arc;

/// Why a file cannot be used. Problems with single records are [`Diagnostic`](crate::Diagnostic)s.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The file cannot be opened or read.
    #[error("{file}: cannot be read")]
    Read {
        /// The file.
        file: Arc<str>,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{file}: cannot be written")]
    Write {
        /// The file.
        file: Arc<str>,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The output exists and may not be replaced.
    #[error("{file}: already exists; choose another output, or use --overwrite to replace it")]
    Exists {
        /// The file.
        file: Arc<str>,
    },
    /// The output is the input, or one contains the other.
    #[error("{output}: would overwrite the input {input}; choose another output")]
    InPlace {
        /// The output.
        output: Arc<str>,
        /// The input.
        input: Arc<str>,
    },
    /// The file is not UTF-8.
    #[error("{file}:{line}: not UTF-8; convert the file first, e.g. with `iconv -f latin1 -t utf8`")]
    Encoding {
        /// The file.
        file: Arc<str>,
        /// The first line that is not UTF-8, from 1.
        line: u64,
    },
    /// A line or record is larger than the limit.
    #[error("{file}:{line}: record larger than {limit} bytes; check the format of the file")]
    TooLarge {
        /// The file.
        file: Arc<str>,
        /// The first line of the record, from 1.
        line: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The file is truncated or does not parse, so that no record after this line can be found.
    #[error("{file}:{line}: {what}")]
    Malformed {
        /// The file.
        file: Arc<str>,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file contains no document.
    #[error("{file}: contains no documents")]
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
    /// The file contains records, none of which could be read.
    #[error(
        "{file}: none of its {skipped} records could be read; the first error is: {first}; check the format with --from"
    )]
    NothingReadable {
        /// The file.
        file: Arc<str>,
        /// Number of records skipped.
        skipped: u64,
        /// The first diagnostic.
        first: String,
    },
    /// One of a pair of files is missing.
    #[error("{file}: missing {partner}, which belongs to it")]
    Unpaired {
        /// The file that exists.
        file: Arc<str>,
        /// The missing file.
        partner: String,
    },
    /// Two files that correspond line by line differ in length.
    #[error("{shorter}:{line}: ends here, but {longer} has more lines; the files must correspond line by line")]
    Lengths {
        /// The shorter file.
        shorter: Arc<str>,
        /// Its number of lines.
        line: u64,
        /// The longer file.
        longer: Arc<str>,
    },
    /// The format could not be detected.
    #[error("{file}: unknown corpus format; give one of {known} with --from")]
    UnknownFormat {
        /// The file.
        file: Arc<str>,
        /// The known formats.
        known: String,
    },
    /// The path does not identify a corpus.
    #[error("{file}: {what}")]
    Path {
        /// The path.
        file: Arc<str>,
        /// What is wrong with it, and how to fix it.
        what: String,
    },
}
