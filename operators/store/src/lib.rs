//! Opens a local directory or a place in an object store by its path or URL: S3, Google Cloud Storage, Azure.
//!
//! ```text
//! path or URL ─► Address ─open─► Store: an `ObjectStore` rooted there, and how messages name it
//!                   └─ StoreOptions: --store-option, after the provider's environment variables and files
//! ```
//!
//! Everything that reads or writes an output goes through a [`Store`], a local directory too.

mod address;
mod buckets;
mod cause;
#[cfg(feature = "cloud")]
mod cloud;
mod directory;
mod error;
mod failure;
mod foreign;
mod options;
#[cfg(feature = "cloud")]
mod profile;
mod store;

pub use address::{Address, Bucket, Scheme};
pub use buckets::Buckets;
pub use directory::{remove_staged, staged_name};
pub use error::StoreError;
pub use failure::{StoreFailure, is_absent, is_unsupported};
pub use foreign::foreign;
pub use options::StoreOptions;
pub use store::Store;
