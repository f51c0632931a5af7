//! The disk cache of compiled kernels and tuning results.
//!
//! CubeCL's caches do not distinguish devices, so each kind of device, and everything else that a kernel depends on, has its
//! own directory.

use std::path::PathBuf;
use std::sync::Mutex;

use burn_cubecl::cubecl::config::cache::CacheConfig;
use burn_cubecl::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

use super::card::Card;
use super::choices;
use crate::config::EncoderConfig;
use crate::{ClassifierSetup, Device, NerError};

/// The version of the library that makes kernels; `tests/it/versions.rs` compares it with `Cargo.lock`.
const BURN: &str = "burn-0.21.0";

/// The directory of this process: there can be only one.
static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Makes CubeCL cache kernels for a model and device in their own directory below the cache.
pub(super) fn keep_kernels(card: &Card, model: &EncoderConfig, setup: &ClassifierSetup) -> Result<(), NerError> {
    let refuse = |reason: String| Err(NerError::Device { device: Device::Cuda(card.number), reason });
    let Some(root) = setup.cuda.cache.clone().or_else(default_root) else {
        return refuse("no home directory for the kernel cache; set --cache-dir".to_owned());
    };
    let folder = root.join(key(card, model, setup));
    if let Err(error) = std::fs::create_dir_all(&folder) {
        return refuse(format!("cannot create the kernel cache {}: {error}; set --cache-dir", folder.display()));
    }
    let mut kept = FOLDER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match kept.as_ref() {
        None => {
            CubeClRuntimeConfig::set(configuration(folder.clone()));
            *kept = Some(folder);
            Ok(())
        }
        Some(other) if *other == folder => Ok(()),
        Some(other) => refuse(format!(
            "this process already caches kernels in {}, which belongs to another device, model or precision; \
             run one process for each",
            other.display()
        )),
    }
}

/// The same for training, which shares the directory of a teacher that runs in this process.
pub(super) fn keep_kernels_of_training(
    card: &Card,
    model: &EncoderConfig,
    setup: &ClassifierSetup,
) -> Result<(), NerError> {
    let is_kept = FOLDER.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some();
    if is_kept { Ok(()) } else { keep_kernels(card, model, setup) }
}

/// Logs which kernels were chosen.
pub(super) fn log_choices() {
    let kept = FOLDER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    kept.iter().for_each(|folder| choices::log(folder));
}

fn configuration(folder: PathBuf) -> CubeClRuntimeConfig {
    let mut config = CubeClRuntimeConfig::default().override_from_env();
    config.autotune.cache = CacheConfig::File(folder.clone());
    config.compilation.cache = Some(CacheConfig::File(folder));
    config
}

/// `$XDG_CACHE_HOME/pubtag`, or `~/.cache/pubtag` (XDG Base Directory Specification).
fn default_root() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache"))).map(|root| root.join("pubtag"))
}

/// Library, device, compute capability, precision and the model's dimensions, as a path.
fn key(card: &Card, model: &EncoderConfig, setup: &ClassifierSetup) -> PathBuf {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let card_name: String = card.name.chars().map(plain).collect();
    let (major, minor) = card.capability;
    let &EncoderConfig { layers, hidden_size, heads, intermediate_size, .. } = model;
    let shape = format!("{}-{layers}x{hidden_size}x{heads}x{intermediate_size}", setup.precision);
    [BURN.to_owned(), format!("{card_name}-sm{major}{minor}"), shape].iter().collect()
}
