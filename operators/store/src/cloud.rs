//! Connections to S3, Google Cloud Storage and Azure, with each provider's usual credentials.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientOptions, ObjectStore, Result, RetryConfig};

use crate::address::{Bucket, Scheme};
use crate::failure::answer;
use crate::{StoreError, StoreOptions, profile};

/// Longest time of one request: a part of 64 MiB over a slow line.
const REQUEST: Duration = Duration::from_mins(5);

/// How long a request is repeated when the store is busy or cannot be reached. Must stay below the lifetime of a
/// signature.
const PATIENCE: Duration = Duration::from_mins(2);

/// Connects to the bucket; no request is made.
///
/// # Errors
/// If an option is unknown or invalid.
pub(crate) fn connect(
    bucket: &Bucket,
    options: &StoreOptions,
) -> std::result::Result<Arc<dyn ObjectStore>, StoreError> {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = match bucket.scheme {
        Scheme::S3 => s3(bucket, options)?,
        Scheme::Gs => gs(bucket, options)?,
        Scheme::Az => az(bucket, options)?,
    };
    store.map_err(|error| StoreError::Options { url: bucket.to_string(), reason: answer(&error) })
}

fn client() -> ClientOptions {
    ClientOptions::new().with_timeout(REQUEST)
}

fn retries() -> RetryConfig {
    RetryConfig { retry_timeout: PATIENCE, ..RetryConfig::default() }
}

/// Options with their keys parsed.
fn parsed<K: std::str::FromStr>(
    bucket: &Bucket,
    options: &StoreOptions,
) -> std::result::Result<Vec<(K, String)>, StoreError> {
    let parse = |(key, value): (&str, &str)| {
        let parsed =
            key.parse().map_err(|_| StoreError::UnknownOption { url: bucket.to_string(), key: key.to_owned() })?;
        Ok((parsed, value.to_owned()))
    };
    options.iter().map(parse).collect()
}

type Connected = std::result::Result<Result<Arc<dyn ObjectStore>>, StoreError>;

fn s3(bucket: &Bucket, options: &StoreOptions) -> Connected {
    use AmazonS3ConfigKey::{AccessKeyId, DefaultRegion, Endpoint, Region, S3Endpoint, SecretAccessKey, Token};
    let mut builder = AmazonS3Builder::from_env().with_client_options(client()).with_retry(retries());
    for (key, value) in parsed(bucket, options)? {
        builder = builder.with_config(key, value);
    }
    let profile = profile::read();
    let has_keys = builder.get_config_value(&AccessKeyId).is_some();
    let has_role = std::env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE").is_some();
    let takes_keys = !has_keys && !has_role;
    let from_profile = [
        (AccessKeyId, profile.access_key_id.filter(|_| takes_keys)),
        (SecretAccessKey, profile.secret_access_key.filter(|_| takes_keys)),
        (Token, profile.session_token.filter(|_| takes_keys)),
        (Endpoint, profile.endpoint_url.filter(|_| builder.get_config_value(&Endpoint).is_none())),
    ];
    for (key, value) in from_profile {
        if let Some(value) = value {
            builder = builder.with_config(key, value);
        }
    }
    if builder.get_config_value(&Region).is_none() {
        let region = builder.get_config_value(&DefaultRegion).or(profile.region);
        builder = builder.with_config(Region, region.unwrap_or_else(|| "us-east-1".to_owned()));
    }
    let endpoint = builder.get_config_value(&S3Endpoint).or_else(|| builder.get_config_value(&Endpoint));
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    Ok(builder.with_bucket_name(&bucket.name).build().map(|store| Arc::new(store) as _))
}

fn gs(bucket: &Bucket, options: &StoreOptions) -> Connected {
    // Endpoints of emulators are plain HTTP; Google's own is always HTTPS.
    let client = client().with_allow_http(true);
    let mut builder = GoogleCloudStorageBuilder::from_env().with_client_options(client).with_retry(retries());
    for (key, value) in parsed::<GoogleConfigKey>(bucket, options)? {
        builder = builder.with_config(key, value);
    }
    Ok(builder.with_bucket_name(&bucket.name).build().map(|store| Arc::new(store) as _))
}

fn az(bucket: &Bucket, options: &StoreOptions) -> Connected {
    let mut builder = MicrosoftAzureBuilder::from_env().with_client_options(client()).with_retry(retries());
    for (key, value) in parsed::<AzureConfigKey>(bucket, options)? {
        builder = builder.with_config(key, value);
    }
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    Ok(builder.with_container_name(&bucket.name).build().map(|store| Arc::new(store) as _))
}
