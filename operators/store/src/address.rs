//! Where something is: a path, or a URL of an object store.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use object_store::path::Path as Key;

use crate::{Store, StoreError, StoreOptions};

/// A local path, or a place in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A path of the file system.
    Local(PathBuf),
    /// A prefix or object in a bucket.
    Bucket(Bucket),
}

/// A place in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// The kind of store.
    pub scheme: Scheme,
    /// The bucket or container, as in the URL.
    pub name: String,
    /// The prefix or the key of an object; empty for the whole bucket.
    pub key: Key,
}

/// Kinds of object stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Amazon S3 and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
}

const SCHEMES: [(&str, Scheme); 7] = [
    ("s3", Scheme::S3),
    ("s3a", Scheme::S3),
    ("gs", Scheme::Gs),
    ("az", Scheme::Az),
    ("azure", Scheme::Az),
    ("abfs", Scheme::Az),
    ("abfss", Scheme::Az),
];

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }
}

impl Address {
    /// Opens the place; a local directory must exist.
    ///
    /// # Errors
    /// If the directory cannot be read, or an option is unknown or invalid.
    pub fn open(&self, options: &StoreOptions) -> Result<Store, StoreError> {
        match self {
            Self::Local(folder) => Store::directory(folder),
            Self::Bucket(bucket) => bucket.open(options),
        }
    }

    /// Opens the place; a local directory is created if necessary.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if the directory cannot be created.
    pub fn create(&self, options: &StoreOptions) -> Result<Store, StoreError> {
        if let Self::Local(folder) = self {
            crate::directory::create_durably(folder)
                .map_err(|source| StoreError::Folder { path: folder.display().to_string(), source })?;
        }
        self.open(options)
    }

    /// The path, if it is local.
    pub fn local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Bucket(_) => None,
        }
    }

    /// A place below this one.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.join(name)),
            Self::Bucket(bucket) => Self::Bucket(Bucket { key: bucket.key.clone().join(name), ..bucket.clone() }),
        }
    }

    /// Whether a text has the form of a URL.
    pub fn is_url(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl Bucket {
    /// The URL of an object or prefix in the same bucket.
    pub fn url_of(&self, key: &Key) -> String {
        let Self { scheme, name, .. } = self;
        if key.as_ref().is_empty() {
            format!("{}://{name}", scheme.name())
        } else {
            format!("{}://{name}/{key}", scheme.name())
        }
    }

    #[cfg(feature = "cloud")]
    fn open(&self, options: &StoreOptions) -> Result<Store, StoreError> {
        Ok(Store::bucket(self.clone(), crate::cloud::connect(self, options)?))
    }

    #[cfg(not(feature = "cloud"))]
    fn open(&self, _: &StoreOptions) -> Result<Store, StoreError> {
        Err(StoreError::NoCloud { url: self.to_string() })
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url_of(&self.key))
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Local(path)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Local(path.to_owned())
    }
}

impl TryFrom<OsString> for Address {
    type Error = StoreError;

    /// What is not UTF-8 is a path.
    fn try_from(text: OsString) -> Result<Self, StoreError> {
        text.into_string().map_or_else(|path| Ok(Self::Local(path.into())), |text| text.parse())
    }
}

impl FromStr for Address {
    type Err = StoreError;

    /// Keys are taken as they are: nothing is percent-decoded.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        if text.is_empty() {
            return Err(StoreError::Empty);
        }
        if !Self::is_url(text) {
            return Ok(Self::Local(text.into()));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "file" {
            // `file://localhost/path` and `file:///path` are the same (RFC 8089).
            return Ok(Self::Local(rest.strip_prefix("localhost").unwrap_or(rest).into()));
        }
        let unusable = |reason: String| StoreError::Url { url: text.to_owned(), reason };
        let known = SCHEMES.iter().find(|(name, _)| *name == scheme).map(|(_, scheme)| *scheme);
        let scheme = known.ok_or_else(|| unusable("expected a path, s3://, gs://, az:// or file://".to_owned()))?;
        let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(unusable("the bucket is missing, as in s3://BUCKET/PREFIX".to_owned()));
        }
        if name.contains(['@', '?', '#']) {
            return Err(unusable("expected BUCKET/PREFIX after ://; pass accounts with --store-option".to_owned()));
        }
        let key = Key::parse(key).map_err(|error| unusable(error.to_string()))?;
        Ok(Self::Bucket(Bucket { scheme, name: name.to_owned(), key }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_key_and_all_else_is_a_path() {
        for (text, shown) in [
            ("s3://bucket/in/", "s3://bucket/in"),
            ("S3://bucket", "s3://bucket"),
            ("s3a://bucket/a b/c%20d.xml", "s3://bucket/a b/c%20d.xml"),
            ("gs://b/x/y", "gs://b/x/y"),
            ("abfss://container/x", "az://container/x"),
            ("file:///tmp/out", "/tmp/out"),
            ("file://localhost/tmp/out", "/tmp/out"),
            ("out/s3:x", "out/s3:x"),
            ("./x://y", "./x://y"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
        }
        assert!("out".parse::<Address>().unwrap().local().is_some());
        assert!("gs://b".parse::<Address>().unwrap().local().is_none());
    }

    #[test]
    fn a_place_below_another_is_of_the_same_kind() {
        for (place, below) in
            [("s3://bucket", "s3://bucket/snapshot"), ("gs://b/out/", "gs://b/out/snapshot"), ("out", "out/snapshot")]
        {
            assert_eq!(place.parse::<Address>().unwrap().join("snapshot").to_string(), below);
        }
    }

    #[test]
    fn an_unusable_url_says_what_is_expected() {
        for (text, words) in [
            ("https://example.org/x", "s3://, gs://, az://"),
            ("s3:///key", "the bucket is missing"),
            ("az://container@account/x", "--store-option"),
            ("s3://bucket/a//b", "empty path segment"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(text), "{error}");
        }
    }
}
