//! What can go wrong at a server.

/// How a request is answered instead of rightly.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Some of the bytes, then silence while the connection stays open.
    Stall {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// Some of the bytes, then the connection ends.
    Truncate {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// Some of the bytes, announced as all of them.
    Shorten {
        /// Bytes of the body that are sent.
        to: usize,
    },
    /// All bytes, one of them wrong.
    Corrupt,
    /// A few bytes at a time, at a rate.
    Trickle {
        /// Bytes per second.
        rate: u64,
    },
    /// A status without the file.
    Status {
        /// The status line's code.
        status: u16,
        /// The header `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// The whole file, whatever range is asked for.
    IgnoreRange,
    /// Another range than the one that is asked for.
    WrongRange,
    /// Another address.
    Redirect {
        /// The address.
        to: String,
    },
    /// The file is re-issued: before anything is sent or, with `after`, once that many bytes of the old file are sent and
    /// the connection has ended.
    Reissue {
        /// Bytes of the old file that are sent.
        after: Option<usize>,
        /// The new file.
        content: Vec<u8>,
    },
}
