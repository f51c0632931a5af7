//! The model: token windows in, entity annotations out. The only room that knows Burn.
//!
//! ```text
//! TokenizedRecord ─► batching ─► micro-batches ─► model thread (classifier ─► model ─► backend) ─► logits ─► decode ─► TaggedRecord
//! ```
//!
//! A [`Checkpoint`] is a model directory, checked. [`Tag`] is the operator; it owns a thread that owns the model. The
//! model is generic over [`NerBackend`], and leaves this crate as a `Box<dyn TokenClassifier>`, so nothing
//! downstream is generic.

pub mod agreement;
mod backend;
mod batching;
mod checkpoint;
mod classifier;
mod config;
#[cfg(feature = "cuda")]
mod cuda;
mod decode;
mod device;
mod error;
mod fingerprint;
mod fused;
mod fused_training;
pub mod kernels;
mod labels;
mod model;
mod operator;
mod packed;
mod precision;
mod random;
mod recorded;
mod shapes;
mod stats;
#[cfg(test)]
mod testing;
mod thread;
mod threads;
pub mod train;
mod warm_up;
#[cfg(any(feature = "cuda", test))]
mod watch;
mod weights;

pub use backend::{Moments, NerBackend};
pub use checkpoint::Checkpoint;
pub use classifier::{ClassifierFactory, ClassifierSetup, CudaSettings, Logits, Padding, TokenClassifier, classifier};
pub use config::{Activation, Family, ModelConfig};
pub use decode::{Aggregation, Decoder, Decoding, OptionError};
pub use device::{Device, DeviceError, cuda_devices};
pub use error::NerError;
pub use fused_training::FlexTape;
pub use labels::{LabelSet, Tag as LabelTag};
pub use model::{
    Embeddings, EncoderLayer, Inputs, LayerNorm, Linear, PreparedModel, SelfAttention, TokenClassification,
};
pub use operator::{Tag, TagConfig};
pub use packed::{MicroBatch, PaddedView, PaddedViews, Sequences};
pub use precision::Precision;
pub use recorded::{LayerParameters, LayerSettings};
pub use shapes::{Block, Shapes};
pub use stats::TagStats;
pub use threads::use_threads;
pub use warm_up::{Warmed, warm_up};
