//! The operations that a backend may run faster than Burn's plain ones.
//!
//! The [model](crate::model) is written in plain operations, which every backend can run and differentiate.
//! [`NerBackend`] lists the places where a backend can take over: a whole encoder, a layer under training and the
//! optimizer's arithmetic. They take tensors and numbers, never modules, so that the model depends on this folder and
//! not the other way round.
//!
//! Outside tests, this is the only folder that names Burn's backends.

mod autodiff;
#[cfg(feature = "cuda")]
mod cuda;
mod flex;
mod products;

use std::fmt;
use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Int, Tensor};

use crate::config::Activation;
use crate::kernels::{AdamWStep, Precision};
use crate::packed::Sequences;
use crate::shapes::Shapes;

pub(crate) use autodiff::Training;
#[cfg(feature = "cuda")]
pub(crate) use cuda::{Cuda, cuda_device, reserved_bytes};
pub(crate) use flex::{CPU, Cpu};
pub(crate) use products::{linear, product};

/// First and second moment of a parameter's gradient, flat.
pub(crate) type Moments<B> = [Tensor<B, 1>; 2];

/// The parameters of an encoder layer: weight `[in, out]` and bias of query, key and value side by side, then of the
/// attention output; scale and shift of the norm after it; weight and bias of both feed-forward products; scale and shift
/// of the last norm.
pub(crate) type LayerParameters<B> = [FloatTensor<B>; 12];

/// The gradients of a layer's input, of its parameters, in the order of [`LayerParameters`], and of the bias, if there is one.
pub(crate) struct LayerGradients<B: Backend> {
    pub(crate) input_and_parameters: [FloatTensor<B>; 13],
    pub(crate) bias: Option<FloatTensor<B>>,
}

/// An encoder layer as tensors and numbers.
#[derive(Clone, Debug)]
pub(crate) struct LayerTensors<B: Backend> {
    pub(crate) settings: LayerSettings,
    pub(crate) parameters: LayerParameters<B>,
}

/// What determines a layer's result besides its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LayerSettings {
    /// Attention heads.
    pub(crate) heads: usize,
    /// Between the feed-forward products.
    pub(crate) activation: Activation,
    /// Added to the variances of the two norms, in order.
    pub(crate) epsilon: [f64; 2],
    /// Probability that a hidden state is dropped before each residual sum, in training.
    pub(crate) hidden_dropout: f64,
    /// Probability that an attention probability is dropped, in training.
    pub(crate) attention_dropout: f64,
}

/// Weight `[in, out]` and bias of a linear layer, or scale and shift of a norm.
pub(crate) type Pair<B> = [FloatTensor<B>; 2];

/// Embeddings as tensors and numbers.
pub(crate) struct EmbeddingTensors<B: Backend> {
    /// `[vocabulary, embedding]`
    pub(crate) words: FloatTensor<B>,
    /// `[positions, embedding]`
    pub(crate) positions: FloatTensor<B>,
    /// `[types, embedding]`, of which only the first occurs.
    pub(crate) token_types: Option<FloatTensor<B>>,
    /// Of the sum.
    pub(crate) norm: Pair<B>,
    /// Added to the variance of the norm.
    pub(crate) epsilon: f64,
    /// From the width of the embeddings to that of the layers, if they differ.
    pub(crate) projection: Option<Pair<B>>,
}

/// An encoder as tensors and numbers, with the linear layer after it, if there is one.
pub(crate) struct EncoderTensors<B: Backend> {
    pub(crate) embeddings: EmbeddingTensors<B>,
    /// Added to attention scores by distance: `[heads, 2·longest − 1]`, from the farthest key before a query to that behind it.
    pub(crate) bias: Option<FloatTensor<B>>,
    pub(crate) layers: Vec<LayerTensors<B>>,
    pub(crate) head: Option<Pair<B>>,
}

/// A whole encoder as one operation, with packed weights and working memory.
pub(crate) trait FusedEncoder<B: Backend>: Send {
    /// Ids `[T]` and positions `[T]` → `[T, hidden]`, or with a head `[T, outputs]`, without gradients. Only the rows of
    /// `scored`, in ascending order, need to be computed; the others may be anything finite.
    fn forward(
        &mut self,
        ids: Tensor<B, 1, Int>,
        positions: Tensor<B, 1, Int>,
        sequences: &Sequences<B>,
        scored: &[u32],
    ) -> Tensor<B, 2>;

    /// The same encoder for another thread: shares the weights, but has working memory of its own.
    fn for_another_thread(&self) -> Box<dyn FusedEncoder<B>>;
}

/// A backend that runs the model.
pub(crate) trait NerBackend: Backend {
    /// What [`record_layer`](Self::record_layer) keeps for the gradients.
    type Tape: Clone + Send + fmt::Debug + 'static;

    /// The shapes that micro-batches are padded to.
    const SHAPES: Shapes;

    /// The sizes of factors of matrix products are padded to multiples of this.
    const MATRIX_STEP: usize = 1;

    /// Packs an encoder's weights. `None` if this backend, or this activation, has no fused encoder: its operations then run
    /// one by one. A backend whose numbers determine the precision ignores `precision`.
    fn fuse(_encoder: &EncoderTensors<Self>, _precision: Precision) -> Option<Box<dyn FusedEncoder<Self>>> {
        None
    }

    /// Runs a layer as one differentiable operation, dropout included: `[T, hidden]` → `[T, hidden]`, with a bias as in
    /// [`EncoderTensors`]. `None` if there is no such operation.
    fn differentiable_layer(
        _layer: &LayerTensors<Self>,
        _hidden: &Tensor<Self, 2>,
        _sequences: &Sequences<Self>,
        _bias: Option<&Tensor<Self, 2>>,
    ) -> Option<Tensor<Self, 2>> {
        None
    }

    /// Runs a layer, dropout included, and keeps what its gradients need: `[T, hidden]` → `[T, hidden]`. `None` if this
    /// backend does not compute gradients of layers itself.
    fn record_layer(
        _layer: LayerTensors<Self>,
        _hidden: FloatTensor<Self>,
        _sequences: &[Range<usize>],
        _bias: Option<FloatTensor<Self>>,
    ) -> Option<(FloatTensor<Self>, Self::Tape)> {
        None
    }

    /// Computes the gradients of a recorded layer from the gradient of its output.
    fn layer_gradients(tape: Self::Tape, gradient: FloatTensor<Self>) -> LayerGradients<Self>;

    /// Updates a flat parameter and the moments of its gradient; before the first step there are none.
    fn adamw(
        parameter: Tensor<Self, 1>,
        gradient: Tensor<Self, 1>,
        moments: Option<Moments<Self>>,
        step: &AdamWStep,
    ) -> (Tensor<Self, 1>, Moments<Self>) {
        let gradient = gradient * step.scale;
        let [first, second] = moments.unwrap_or_else(|| [gradient.zeros_like(), gradient.zeros_like()]);
        let first = first * AdamWStep::BETA_1 + gradient.clone() * (1.0 - AdamWStep::BETA_1);
        let second = second * AdamWStep::BETA_2 + gradient.square() * (1.0 - AdamWStep::BETA_2);
        let root = second.clone().sqrt() * step.correction + AdamWStep::EPSILON;
        (parameter * step.keep - first.clone() / root * step.rate, [first, second])
    }

    /// The sum of the squares of all values, always added in the same order.
    fn sum_of_squares(values: Tensor<Self, 1>) -> f64 {
        values.square().sum().into_data().convert::<f64>().iter::<f64>().sum()
    }
}
