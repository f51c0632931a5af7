//! Errors of this crate.

use std::io;
use std::path::PathBuf;

use pubtag_stream::FaultKind;

use crate::{Device, Precision};

/// Why an epoch has no training examples, as reported by what makes them.
pub type ExamplesError = Box<dyn std::error::Error + Send + Sync>;

/// Why a model could not be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum NerError {
    /// A required file is missing.
    #[error("{directory}: not a model directory: {missing} is missing; {way_out}")]
    MissingFile {
        /// The model directory.
        directory: PathBuf,
        /// What is missing.
        missing: &'static str,
        /// How to fix it.
        way_out: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `config.json` is not a model configuration.
    #[error("{path}: not a model configuration; copy it again from the source of the model")]
    ConfigSyntax {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The architecture is not supported.
    #[error(
        "{path}: unsupported architecture {found}; supported: BertForTokenClassification, \
         RobertaForTokenClassification, ElectraForTokenClassification, DistilBertForTokenClassification and \
         MPNetForTokenClassification"
    )]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The architecture in the file.
        found: String,
    },
    /// The model cannot be pretrained.
    #[error("{path}: cannot pretrain {found}; supported: bert")]
    Pretraining {
        /// The file.
        path: PathBuf,
        /// The model type in the file.
        found: String,
    },
    /// A value of `config.json` is out of range or not supported.
    #[error("{path}: {field} is {value}: {expected}")]
    ConfigValue {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is supported.
        expected: String,
    },
    /// The labels are not an IOB2 label set.
    #[error("{path}: labels [{labels}] are not IOB2: {problem}; id2label must consist of O, B-<type> and I-<type>")]
    Labels {
        /// The file.
        path: PathBuf,
        /// The labels, by id.
        labels: String,
        /// What is wrong with them.
        problem: String,
    },
    /// The weights are not a valid safetensors file.
    #[error("{path}: not a complete safetensors file; copy it again from the source of the model")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: safetensors::SafeTensorError,
    },
    /// The tensors do not match `config.json`.
    #[error("{path}: tensors do not match config.json: {problems}")]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Every difference: missing, unknown, of the wrong shape or type.
        problems: String,
    },
    /// A weight is not a number: with some precisions, the model would still seem to work.
    #[error("{path}: {tensor} contains NaN or infinite values; the file is damaged, or its training diverged")]
    BadWeights {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// The weights changed after they were hashed.
    #[error("{path} changed while in use; run again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A teacher knows none of its student's types.
    #[error(
        "teacher {teacher} knows {has}, but the corpora annotate {wanted}; leave it out or rename types with :map="
    )]
    Teacher {
        /// The teacher's name.
        teacher: String,
        /// The types that it knows.
        has: String,
        /// The types of the student.
        wanted: String,
    },
    /// No teacher knows a type of their student.
    #[error("no teacher knows {name}; add one that does, or leave {name} out with :types=")]
    Untaught {
        /// The type.
        name: String,
    },
    /// The device does not support the requested precision.
    #[error("precision {precision} is not supported on {device}: {reason}; use --precision f32")]
    Precision {
        /// The precision.
        precision: Precision,
        /// The device.
        device: Device,
        /// What the device supports.
        reason: &'static str,
    },
    /// The device cannot be used.
    #[error("cannot use device {device}: {reason}")]
    Device {
        /// The device.
        device: Device,
        /// The cause and a hint.
        reason: String,
    },
    /// The device ran out of memory, even with the smallest micro-batch.
    #[error("device {device} is out of memory; stop other programs that use it (nvidia-smi) or lower --token-budget")]
    OutOfMemory {
        /// The device.
        device: Device,
    },
    /// The device failed.
    #[error(
        "device {device} failed: {message}; its last micro-batch was discarded; check nvidia-smi and the kernel log (Xid), \
         and run `pubtag selftest --device {device}`"
    )]
    DeviceFailed {
        /// The device.
        device: Device,
        /// The error of the device.
        message: String,
    },
    /// A token id is outside the vocabulary: tokenizer and model do not match.
    #[error(
        "token id {id} is outside the model's vocabulary of {vocab_size}; use a model and tokenizer from the same checkpoint"
    )]
    UnknownToken {
        /// The id.
        id: u32,
        /// Rows of the word embedding.
        vocab_size: usize,
    },
    /// A sequence is longer than the model has positions.
    #[error("a sequence has {tokens} tokens, but the model has only {max_tokens} positions")]
    TooLong {
        /// Tokens of the sequence.
        tokens: usize,
        /// Positions of the model.
        max_tokens: usize,
    },
    /// The model's thread cannot be started.
    #[error("cannot start the model's thread")]
    Spawn(#[source] io::Error),
    /// The model panicked.
    #[error("the model panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The model's thread ended early.
    #[error("the model's thread has stopped")]
    Stopped,
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The parameters cannot be written as a safetensors file.
    #[error("cannot write the model as a safetensors file")]
    Export(#[source] safetensors::SafeTensorError),
    /// The examples of an epoch cannot be made.
    #[error("cannot make the training examples of epoch {epoch}", epoch = epoch + 1)]
    Examples {
        /// The epoch, from 0.
        epoch: usize,
        /// The cause.
        source: ExamplesError,
    },
    /// Training diverged.
    #[error("the loss of step {step} is NaN or infinite; lower the learning rate")]
    Diverged {
        /// The step, from 0.
        step: usize,
    },
    /// A logit is NaN or infinite.
    #[error("a logit is NaN or infinite; check the weights, or use --precision f32")]
    NotFinite,
}

impl NerError {
    /// The class of the error.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Read { source, .. }
                if !matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) =>
            {
                FaultKind::Transient
            }
            Self::Spawn(_) | Self::Write { .. } | Self::Changed { .. } => FaultKind::Transient,
            Self::Panicked { .. }
            | Self::Stopped
            | Self::NotFinite
            | Self::Export(_)
            | Self::OutOfMemory { .. }
            | Self::DeviceFailed { .. } => FaultKind::Internal,
            _ => FaultKind::Configuration,
        }
    }
}
