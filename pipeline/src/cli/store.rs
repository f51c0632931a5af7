//! Places in object stores.

use std::ffi::OsString;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use pubtag_store::{Address, StoreError, StoreOptions};

/// Options of object stores.
#[derive(Args, Clone, Debug, Default)]
pub struct StoreArgs {
    /// Option of the object store: region, endpoint, credentials, encryption, … May be repeated, and takes precedence over
    /// the provider's environment variables and files.
    #[arg(long, value_name = "KEY=VALUE")]
    pub store_option: Vec<StoreOptions>,
}

impl StoreArgs {
    /// All options together.
    pub fn options(&self) -> StoreOptions {
        StoreOptions::new(self.store_option.iter().cloned())
    }
}

/// Parses a path or URL; a path need not be UTF-8.
pub(super) fn address() -> impl TypedValueParser<Value = Address> {
    OsStringValueParser::new()
        .try_map(|text: OsString| Address::try_from(text).map_err(|error: StoreError| error.to_string()))
}
