//! Why a place cannot be opened.

use std::io;

/// A place cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A directory cannot be created or opened.
    #[error("cannot use {path}")]
    Folder {
        /// The directory.
        path: String,
        /// The file system's error.
        source: io::Error,
    },
    /// A path is empty, such as that of a variable that is not set.
    #[error("the path is empty")]
    Empty,
    /// A URL does not name a place in a store.
    #[error("{url}: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A `--store-option` has no `=`.
    #[error("expected KEY=VALUE")]
    NotAnOption,
    /// A `--store-option` is unknown to the store.
    #[error(
        "{url}: unknown store option `{key}`; expected a configuration key of object_store, such as region or endpoint"
    )]
    UnknownOption {
        /// The URL.
        url: String,
        /// The option.
        key: String,
    },
    /// The store's options contradict each other, or one has an invalid value.
    #[error(
        "cannot connect to {url}: {reason}; check the provider's environment variables, its profile and --store-option"
    )]
    Options {
        /// The URL.
        url: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The program was built without object stores.
    #[error("{url}: this pubtag was built without object stores (feature `cloud`)")]
    NoCloud {
        /// The URL.
        url: String,
    },
}
