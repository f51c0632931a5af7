//! Options of object stores, as `key=value`.

use std::fmt;
use std::str::FromStr;

use crate::StoreError;

/// Options in the order given; later ones win. Values may be secret: they are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreOptions(Vec<(String, String)>);

impl StoreOptions {
    /// Joins options.
    pub fn new(options: impl IntoIterator<Item = StoreOptions>) -> Self {
        Self(options.into_iter().flat_map(|options| options.0).collect())
    }

    /// Keys and values.
    #[cfg(feature = "cloud")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

/// Keys only: values may be secret.
impl fmt::Display for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.0.iter().map(|(key, _)| format!("{key}=…")).collect();
        f.write_str(&keys.join(" "))
    }
}

impl FromStr for StoreOptions {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        // What has no `=` may be a secret, so it is not repeated.
        let (key, value) = text.split_once('=').ok_or(StoreError::NotAnOption)?;
        Ok(Self(vec![(key.trim().to_ascii_lowercase().replace('-', "_"), value.to_owned())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_shown_without_their_values() {
        let options: StoreOptions = "Secret-Access-Key=hunter2=".parse().unwrap();
        assert_eq!(options.0, [("secret_access_key".to_owned(), "hunter2=".to_owned())]);
        assert!(!format!("{options:?}").contains("hunter2"));
        assert!(!"hunter2".parse::<StoreOptions>().unwrap_err().to_string().contains("hunter2"));
    }
}
