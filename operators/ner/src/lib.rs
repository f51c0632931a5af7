//! The model: token windows in, entity annotations out. The only crate that depends on Burn.
//!
//! ```text
//! TokenizedRecord ─► batching ─► micro-batches ─► model thread (classifier ─► model ─► backend) ─► logits ─► decode ─► TaggedRecord
//! ```
//!
//! A [`Checkpoint`] is a validated model directory. [`Tag`] is the operator; its threads own the model. The model is
//! generic over the backend and leaves this crate as a `Box<dyn TokenClassifier>`, so nothing downstream is generic.

pub mod agreement;
mod backend;
mod batching;
mod burn_classifier;
mod checkpoint;
mod classifier;
mod config;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "no_cuda.rs"]
mod cuda;
mod decode;
mod device;
mod error;
mod fingerprint;
mod host;
pub mod kernels;
mod labels;
mod model;
mod model_threads;
mod open;
mod operator;
mod packed;
#[cfg(any(feature = "cuda", test))]
mod panic_watch;
mod precision;
mod random;
mod shapes;
mod stats;
#[cfg(test)]
mod testing;
mod threads;
pub mod train;
mod weights;

pub use checkpoint::Checkpoint;
pub use classifier::{
    ClassifierFactory, ClassifierSetup, CpuSettings, CudaSettings, Logits, Padding, TokenClassifier, Warmed,
};
pub use config::{Activation, EncoderConfig, Family, ModelConfig};
pub use decode::{Aggregation, Decoder, Decoding, WordProbabilities};
pub use device::Device;
pub use error::{ExamplesError, NerError};
pub use labels::{Iob2, LabelSet};
pub use open::{classifier, cuda_devices, probe, warm_up};
pub use operator::{Tag, TagConfig};
pub use packed::MicroBatch;
pub use precision::Precision;
pub use stats::TagStats;
pub use threads::{on_own_threads, use_threads};
