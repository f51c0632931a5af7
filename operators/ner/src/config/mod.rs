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

/// A model's architecture and labels. Every field comes from the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The kind of encoder.
    pub family: Family,
    /// What the columns of the logits mean.
    pub labels: LabelSet,
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
    /// The row of a sequence's first token: 0, except in RoBERTa.
    pub first_position: usize,
    /// Rows of the token-type embedding; 0 if there is none. Only row 0 is used, since an input is one text.
    pub token_types: usize,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f64,
    /// The non-linearity of the feed-forward layers.
    pub activation: Activation,
    /// Dropout of embeddings and layer outputs while training.
    pub hidden_dropout: f64,
    /// Dropout of attention probabilities while training.
    pub attention_dropout: f64,
    /// Dropout before the classifier while training.
    pub classifier_dropout: f64,
    /// Context length in training, in words of consecutive sentences (`pubtag.context_words`); `None` if the file does
    /// not say.
    pub context_words: Option<NonZeroUsize>,
}

impl ModelConfig {
    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// The longest sequence, special tokens included.
    pub fn max_tokens(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.positions - self.first_position).expect("checked to be positive when it was read")
    }

    /// Name and shape of every parameter. Matrices are `[out, in]`, as PyTorch stores them.
    pub(crate) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let &Self { hidden_size: hidden, embedding_size: embedding, intermediate_size: intermediate, .. } = self;
        let mut all = Vec::new();
        let mut table =
            |name: &str, rows| all.push((format!("embeddings.{name}_embeddings.weight"), vec![rows, embedding]));
        table("word", self.vocab_size);
        table("position", self.positions);
        if self.token_types > 0 {
            table("token_type", self.token_types);
        }
        let mut norm = |module: String, width| {
            all.push((format!("{module}.weight"), vec![width]));
            all.push((format!("{module}.bias"), vec![width]));
        };
        norm("embeddings.LayerNorm".to_owned(), embedding);
        for layer in 0..self.layers {
            norm(format!("encoder.layer.{layer}.attention.output.LayerNorm"), hidden);
            norm(format!("encoder.layer.{layer}.output.LayerNorm"), hidden);
        }
        let mut linear = |module: String, input, output| {
            all.push((format!("{module}.weight"), vec![output, input]));
            all.push((format!("{module}.bias"), vec![output]));
        };
        if embedding != hidden {
            linear("embeddings_project".to_owned(), embedding, hidden);
        }
        for layer in 0..self.layers {
            for module in
                ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
            {
                linear(format!("encoder.layer.{layer}.{module}"), hidden, hidden);
            }
            linear(format!("encoder.layer.{layer}.intermediate.dense"), hidden, intermediate);
            linear(format!("encoder.layer.{layer}.output.dense"), intermediate, hidden);
        }
        linear("classifier".to_owned(), hidden, self.labels.count());
        all
    }
}
