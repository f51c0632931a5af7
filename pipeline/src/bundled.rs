//! The bundled model, the default of `pubtag run`.

use std::path::PathBuf;

use pubtag_schemas::ModelFiles;

use crate::exit::Failure;

/// A file of the model in the source tree; its card next to it describes how it was made.
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

/// A model directory, or the bundled model.
///
/// # Errors
/// There is no directory, and the program was built without a model.
pub(crate) fn named_or_bundled(directory: Option<PathBuf>) -> Result<ModelFiles, Failure> {
    directory.map(ModelFiles::from).or(BUNDLED).ok_or_else(|| {
        Failure::configuration(
            "no model: this program was built without one; set --model or PUBTAG_MODEL to a Hugging Face directory",
        )
    })
}
