//! Opening outputs that exist.

use pubtag_parquet::Tables;
use pubtag_store::{Address, Store, StoreOptions};

use crate::exit::Failure;

/// Opens a place that may be an output; `None` for a directory that does not exist.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open(address: &Address, options: &StoreOptions) -> Result<Option<Store>, Failure> {
    match address.local() {
        Some(folder) if !folder.is_dir() => Ok(None),
        _ => Ok(Some(address.open(options)?)),
    }
}

/// Opens an output.
///
/// # Errors
/// It is not an output, or cannot be read.
pub(crate) async fn open_output(address: &Address, options: &StoreOptions) -> Result<Store, Failure> {
    if let Some(store) = open(address, options)?
        && Tables::exist_at(&store).await?
    {
        return Ok(store);
    }
    Err(Failure::configuration(format!("{address}: not an output of pubtag")))
}
