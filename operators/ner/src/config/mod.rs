//! A model's configuration: validated when it is read, then trusted.

mod read;

use std::num::NonZeroUsize;

use crate::LabelSet;

/// The encoders that share BERT's layers and differ in names and details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Devlin et al., 2019.
    Bert,
    /// Liu et al., 2019: positions start after the padding token's.
    Roberta,
    /// Clark et al., 2020: embeddings may be narrower than the layers.
    Electra,
    /// Sanh et al., 2019: no token types.
    DistilBert,
    /// Song et al., 2020: positions as in RoBERTa, no token types, and attention that depends on distances.
    Mpnet,
}

/// The non-linearity between the two feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x·Φ(x)` with the error function (Hendrycks and Gimpel, 2016).
    Gelu,
    /// GELU by its tanh approximation.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x·σ(x)`.
    Silu,
}

/// A token classifier: its encoder and its labels. Every field comes from the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// What is below the classifier.
    pub encoder: EncoderConfig,
    /// What the columns of the logits mean.
    pub labels: LabelSet,
    /// Dropout before the classifier while training.
    pub classifier_dropout: f64,
    /// Context length in training, in words of consecutive sentences (`pubtag.context_words`); `None` if the file does
    /// not say.
    pub context_words: Option<NonZeroUsize>,
}

/// The architecture of an encoder. Every field comes from the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// The kind of encoder.
    pub family: Family,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the embeddings; equal to that of the layers except in ELECTRA.
    pub embedding_size: usize,
    /// Width of the layers.
    pub hidden_size: usize,
    /// Number of encoder layers.
    pub layers: usize,
    /// Attention heads; a divisor of the width.
    pub heads: usize,
    /// Width between the two feed-forward layers.
    pub intermediate_size: usize,
    /// Rows of the position embedding.
    pub positions: usize,
    /// The row of a sequence's first token: 0, except in RoBERTa and MPNet.
    pub first_position: usize,
    /// Rows of the token-type embedding; 0 if there is none. Only row 0 is used, since an input is one text.
    pub token_types: usize,
    /// Ranges of distances between tokens, each with its own addition to attention scores; 0 except in MPNet.
    pub distance_buckets: usize,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f64,
    /// The non-linearity of the feed-forward layers.
    pub activation: Activation,
    /// Dropout of embeddings and layer outputs while training.
    pub hidden_dropout: f64,
    /// Dropout of attention probabilities while training.
    pub attention_dropout: f64,
}

/// MPNet's ranges of distances between tokens.
pub(crate) const DISTANCE_BUCKETS: usize = 32;

/// The name of MPNet's table of additions to attention scores.
pub(crate) const DISTANCE_BIAS: &str = "encoder.relative_attention_bias.weight";

/// Name and shape of a parameter. Matrices are `[out, in]`, as PyTorch stores them.
pub(crate) type Shape = (String, Vec<usize>);

impl ModelConfig {
    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        let all = self.encoder.parameters().into_iter().chain(self.head());
        all.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// The parameters of the classifier.
    pub(crate) fn head(&self) -> Vec<Shape> {
        linear("classifier", self.encoder.hidden_size, self.labels.count()).into()
    }
}

impl EncoderConfig {
    /// The longest sequence, special tokens included.
    pub fn max_tokens(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.positions - self.first_position).expect("checked to be positive when it was read")
    }

    /// The parameters of a head for masked language modelling on this encoder. Its decoder is the table of words.
    pub(crate) fn masked_head(&self) -> Vec<Shape> {
        let mut all = vec![("cls.predictions.bias".to_owned(), vec![self.vocab_size])];
        all.extend(linear("cls.predictions.transform.dense", self.hidden_size, self.hidden_size));
        all.extend(norm("cls.predictions.transform.LayerNorm", self.hidden_size));
        all
    }

    /// The parameters of the encoder.
    pub(crate) fn parameters(&self) -> Vec<Shape> {
        let &Self { hidden_size: hidden, embedding_size: embedding, intermediate_size: intermediate, .. } = self;
        let mut all = Vec::new();
        let mut table =
            |name: &str, rows| all.push((format!("embeddings.{name}_embeddings.weight"), vec![rows, embedding]));
        table("word", self.vocab_size);
        table("position", self.positions);
        if self.token_types > 0 {
            table("token_type", self.token_types);
        }
        all.extend(norm("embeddings.LayerNorm", embedding));
        if embedding != hidden {
            all.extend(linear("embeddings_project", embedding, hidden));
        }
        if self.distance_buckets > 0 {
            all.push((DISTANCE_BIAS.to_owned(), vec![self.distance_buckets, self.heads]));
        }
        for layer in 0..self.layers {
            let within = |part: &str| format!("encoder.layer.{layer}.{part}");
            all.extend(norm(&within("attention.output.LayerNorm"), hidden));
            all.extend(norm(&within("output.LayerNorm"), hidden));
            for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
            {
                all.extend(linear(&within(part), hidden, hidden));
            }
            all.extend(linear(&within("intermediate.dense"), hidden, intermediate));
            all.extend(linear(&within("output.dense"), intermediate, hidden));
        }
        all
    }
}

/// The parameters of a linear layer.
fn linear(module: &str, input: usize, output: usize) -> [Shape; 2] {
    [(format!("{module}.weight"), vec![output, input]), (format!("{module}.bias"), vec![output])]
}

/// The parameters of a LayerNorm.
fn norm(module: &str, width: usize) -> [Shape; 2] {
    ["weight", "bias"].map(|kind| (format!("{module}.{kind}"), vec![width]))
}
