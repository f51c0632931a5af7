//! The model inside the program, so that `pubtag run` needs no other.

use std::path::PathBuf;

use pubtag_schemas::ModelFiles;

use crate::exit::Failure;

/// Where it lies in the source tree; its card beside it says what it is and how it was made.
#[cfg(feature = "bundled-model")]
macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../deploy/models/pubtag-disease/", $name)))
    };
}

#[cfg(feature = "bundled-model")]
const BUNDLED: Option<ModelFiles> = Some(ModelFiles::BuiltIn {
    name: "pubtag-disease",
    files: &[file!("config.json"), file!("model.safetensors"), file!("tokenizer.json"), file!("training.json")],
});

#[cfg(not(feature = "bundled-model"))]
const BUNDLED: Option<ModelFiles> = None;

/// The model that the user names, or the one inside.
///
/// # Errors
/// None is named and there is none inside.
pub(crate) fn named_or_bundled(directory: Option<PathBuf>) -> Result<ModelFiles, Failure> {
    directory.map(ModelFiles::from).or(BUNDLED).ok_or_else(|| {
        Failure::configuration(
            "no model: this program was built without one; name a Hugging Face directory with --model DIR or the \
             environment variable PUBTAG_MODEL",
        )
    })
}
