//! AWS's shared configuration and credentials files, which `object_store` does not read.
//!
//! Format: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>.

use std::env;
use std::fs;
use std::path::PathBuf;

/// The settings of a profile; all absent if the files do not exist.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<String>,
    pub(crate) session_token: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) endpoint_url: Option<String>,
}

/// Reads the profile that `AWS_PROFILE` names [default: `default`] from both files.
pub(crate) fn read() -> Profile {
    let name = env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
    let content = |variable: &str, file: &str| {
        let home = || env::home_dir().map(|home| home.join(".aws").join(file));
        let path = env::var_os(variable).map(PathBuf::from).or_else(home);
        path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let mut profile = Profile::default();
    profile.take(&content("AWS_CONFIG_FILE", "config"), &name);
    profile.take(&content("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &name);
    profile
}

impl Profile {
    /// Takes the settings of a section `[name]`, or `[profile name]` as in the configuration file.
    fn take(&mut self, file: &str, name: &str) {
        let mut inside = false;
        for line in file.lines() {
            if let Some(section) = line.trim().strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                inside = section.trim().trim_start_matches("profile ").trim() == name;
            } else if let Some((key, value)) =
                line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';', ' ']))
            {
                let value = Some(value.trim().to_owned());
                match key.trim() {
                    "aws_access_key_id" => self.access_key_id = value,
                    "aws_secret_access_key" => self.secret_access_key = value,
                    "aws_session_token" => self.session_token = value,
                    "region" => self.region = value,
                    "endpoint_url" => self.endpoint_url = value,
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_settings_of_the_named_profile_are_taken() {
        let mut profile = Profile::default();
        let config = "[default]\nregion = eu-west-1\n[profile lake]\nregion=eu-central-1\ns3 =\n  region = x\n";
        profile.take(config, "lake");
        let credentials =
            "[default]\naws_access_key_id = A\n# [lake]\n[lake]\naws_access_key_id = B\naws_secret_access_key=c=d\n";
        profile.take(credentials, "lake");
        assert_eq!(profile.region.as_deref(), Some("eu-central-1"));
        assert_eq!(profile.access_key_id.as_deref(), Some("B"));
        assert_eq!(profile.secret_access_key.as_deref(), Some("c=d"));
        assert!(profile.session_token.is_none());
    }
}
