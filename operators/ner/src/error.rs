//! What can go wrong in this room.

use std::io;
use std::path::PathBuf;

use pubtag_stream::FaultKind;

use crate::{Device, Precision};

/// Why an epoch has no training examples, as reported by what makes them.
pub type ExamplesError = Box<dyn std::error::Error + Send + Sync>;

/// Why a model could not be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum NerError {
    /// The directory lacks a file that a model needs.
    #[error("{directory} is not a usable model directory: {missing} is missing; {way_out}")]
    MissingFile {
        /// The model directory.
        directory: PathBuf,
        /// What is missing.
        missing: &'static str,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A file of the model cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// `config.json` is not what it should be.
    #[error("cannot read {path}: it is not a model configuration; copy it again from where the model comes from")]
    ConfigSyntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// The architecture is not one of those that are built here.
    #[error(
        "{path} names the architecture {found}, which pubtag cannot run; it runs BertForTokenClassification, \
         RobertaForTokenClassification, ElectraForTokenClassification and DistilBertForTokenClassification"
    )]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The architecture as the file names it.
        found: String,
    },
    /// A value of `config.json` is out of range, or asks for something that is not built here.
    #[error("{path}: {field} is {value}, but {expected}")]
    ConfigValue {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        expected: String,
    },
    /// The labels are not an IOB2 label set.
    #[error(
        "{path}: the labels [{labels}] are not IOB2: {problem}; name them O, B-<type> and I-<type> in id2label and label2id"
    )]
    Labels {
        /// The file.
        path: PathBuf,
        /// The labels in the order of their ids.
        labels: String,
        /// What is wrong with them.
        problem: String,
    },
    /// The weights are not a safetensors file, or a damaged one.
    #[error("{path} is not a whole safetensors file; copy it again from where the model comes from")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: safetensors::SafeTensorError,
    },
    /// The tensors in the file are not those of the model that `config.json` describes.
    #[error("{path} does not hold the weights that config.json describes: {problems}")]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Every difference: missing, unknown, of another shape or type.
        problems: String,
    },
    /// The weights have changed since they were hashed.
    #[error("{path} has changed since it was opened; run again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The device has no arithmetic of the precision that is asked for.
    #[error("precision {precision} is not to be had on {device}: {reason}; use --precision f32")]
    Precision {
        /// What is asked for.
        precision: Precision,
        /// Of what.
        device: Device,
        /// What there is.
        reason: &'static str,
    },
    /// The device cannot be used.
    #[error("cannot use device {device}: {reason}")]
    Device {
        /// The device asked for.
        device: Device,
        /// Why, and the way out.
        reason: String,
    },
    /// The device's memory does not suffice, even for the smallest micro-batch.
    #[error("device {device} is out of memory; end other programs that use it (nvidia-smi), or lower --token-budget")]
    OutOfMemory {
        /// The device.
        device: Device,
    },
    /// The device failed at work.
    #[error(
        "device {device} failed: {message}; the micro-batch is not kept; see nvidia-smi and the kernel's log (Xid), and \
         what `pubtag selftest --device {device}` says"
    )]
    DeviceFailed {
        /// The device.
        device: Device,
        /// What it says.
        message: String,
    },
    /// A token id lies outside the vocabulary: tokenizer and model do not belong together.
    #[error(
        "token id {id} is outside the model's vocabulary of {vocab_size}; take model and tokenizer from one checkpoint"
    )]
    UnknownToken {
        /// The id.
        id: u32,
        /// Rows of the word embedding.
        vocab_size: usize,
    },
    /// A sequence is longer than the model has positions.
    #[error("a sequence has {tokens} tokens, but the model has {max_tokens} positions; cut windows to that length")]
    TooLong {
        /// Tokens of the sequence.
        tokens: usize,
        /// Positions of the model.
        max_tokens: usize,
    },
    /// The model's thread could not be started.
    #[error("cannot start the model's thread")]
    Spawn(#[source] io::Error),
    /// The model panicked.
    #[error("the model panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The model's thread ended before its work did.
    #[error("the model's thread has stopped")]
    Stopped,
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A model's parameters do not make a safetensors file.
    #[error("cannot lay the model out as a safetensors file")]
    Export(#[source] safetensors::SafeTensorError),
    /// The examples of an epoch could not be made.
    #[error("cannot make the training examples of epoch {epoch}", epoch = epoch + 1)]
    Examples {
        /// The epoch, from 0.
        epoch: usize,
        /// What whoever makes them says.
        source: ExamplesError,
    },
    /// Training left the numbers.
    #[error("the loss of step {step} is not a finite number; lower the learning rate")]
    Diverged {
        /// The step, from 0.
        step: usize,
    },
    /// The model answered with something that is no number.
    #[error("the model gave a score that is not a finite number; its weights or its precision are broken")]
    NotFinite,
}

impl NerError {
    /// What a caller can do about it.
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
