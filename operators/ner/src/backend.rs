//! The backends, and the few operations that decide the model's speed.
//!
//! [`NerBackend`] gives each operation a plain body in Burn's own operations, which every backend can run and
//! differentiate. A backend overrides those that it can do better; to take over the whole encoder it gives its own
//! [`Prepared`](NerBackend::Prepared) weights and [`encode`](NerBackend::encode). This is the only file
//! that names backends.

use std::convert::Infallible;
use std::ops::Range;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::nn::Dropout;
use burn::tensor::activation::{gelu, gelu_approximate, relu, silu, softmax};
use burn::tensor::backend::Backend;
#[cfg(feature = "cuda")]
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Bool, DType, Int, Tensor, TensorPrimitive, module};
use burn_flex::{Flex, FlexDevice, FlexTensor};

use crate::classifier::BurnClassifier;
use crate::config::Activation;
use crate::fused::{FusedEncoder, kernel_activation};
use crate::fused_training::{self, FlexTape, contiguous};
use crate::kernels::{self, Isa, Scratch};
use crate::model::{Embeddings, EncoderLayer, LayerNorm, Linear};
use crate::packed::{PaddedView, Sequences};
use crate::recorded::{self, LayerParameters, LayerSettings};
use crate::shapes::Shapes;
use crate::train::{Example, Examples, Monitor, TrainConfig, TrainState, train};
use crate::{Checkpoint, Device, NerError, Precision};

/// What masked attention scores become: `exp` of it is 0, and unlike −∞ a row of nothing else gives no NaN. It fits
/// 16-bit floats.
const MASKED: f32 = -1e4;

pub(crate) use crate::kernels::AdamWStep;

/// First and second moment of a parameter's gradient, flat.
pub type Moments<B> = [Tensor<B, 1>; 2];

/// Why nobody asks a backend to record a layer that it does not record.
const UNRECORDED: &str = "`records` says that no layer is recorded";

/// A backend that runs the model.
pub trait NerBackend: Backend {
    /// An encoder's weights as this backend wants them, packed once.
    type Prepared: std::fmt::Debug;

    /// Memory that is kept from one micro-batch to the next.
    type Scratch: Default;

    /// What a layer's forward pass leaves for its gradients, where the backend computes them itself.
    type Tape: Clone + Send + std::fmt::Debug + 'static;

    /// The shapes that micro-batches are brought into.
    const SHAPES: Shapes;

    /// Packs the weights of all layers for arithmetic of a precision that the device has. A backend whose numbers have a
    /// precision of their own takes that.
    fn prepare(layers: Vec<EncoderLayer<Self>>, precision: kernels::Precision) -> Self::Prepared;

    /// Runs an encoder without recording gradients: `[T, hidden]` → `[T, hidden]`.
    fn encode(
        encoder: &Self::Prepared,
        hidden: Tensor<Self, 2>,
        sequences: &Sequences<Self>,
        scratch: &mut Self::Scratch,
    ) -> Tensor<Self, 2>;

    /// Runs an encoder layer while it is trained, dropout included: `[T, hidden]` → `[T, hidden]`.
    fn trained_layer(
        layer: &EncoderLayer<Self>,
        hidden: Tensor<Self, 2>,
        sequences: &Sequences<Self>,
    ) -> Tensor<Self, 2> {
        layer.forward(hidden, sequences)
    }

    /// Whether the backend computes the gradients of layers with this activation itself.
    fn records(_activation: Activation) -> bool {
        false
    }

    /// Runs a layer that the backend [`records`](Self::records): `[T, hidden]` → `[T, hidden]`.
    fn record_layer(
        _settings: LayerSettings,
        _parameters: LayerParameters<Self>,
        _hidden: FloatTensor<Self>,
        _sequences: &[Range<usize>],
    ) -> (FloatTensor<Self>, Self::Tape) {
        unreachable!("{UNRECORDED}")
    }

    /// The gradients of a recorded layer's input and of its parameters, in their order, from that of its output.
    fn layer_gradients(_tape: Self::Tape, _gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 13] {
        unreachable!("{UNRECORDED}")
    }

    /// `[T, in]` → `[T, out]`: `activation(x·W + b)`.
    fn dense(layer: &Linear<Self>, x: Tensor<Self, 2>, activation: Option<Activation>) -> Tensor<Self, 2> {
        let y = module::linear(x, layer.weight.val(), Some(layer.bias.val()));
        match activation {
            None => y,
            Some(Activation::Gelu) => gelu(y),
            Some(Activation::GeluTanh) => gelu_approximate(y),
            Some(Activation::Relu) => relu(y),
            Some(Activation::Silu) => silu(y),
        }
    }

    /// `[T, width]`: `LayerNorm(x + residual)`.
    fn residual_norm(norm: &LayerNorm<Self>, x: Tensor<Self, 2>, residual: Tensor<Self, 2>) -> Tensor<Self, 2> {
        layer_norm(norm, x + residual)
    }

    /// Ids `[T]` and positions `[T]` → `[T, embedding]`: `LayerNorm` of the sum of the embeddings.
    fn embed(
        embeddings: &Embeddings<Self>,
        ids: Tensor<Self, 1, Int>,
        positions: Tensor<Self, 1, Int>,
    ) -> Tensor<Self, 2> {
        let mut sum = embeddings.words.val().select(0, ids) + embeddings.positions.val().select(0, positions);
        if let Some(types) = &embeddings.token_types {
            sum = sum + types.val().narrow(0, 0, 1);
        }
        layer_norm(&embeddings.norm, sum)
    }

    /// Scaled dot-product attention within each sequence: queries, keys and values `[T, 3·hidden]` → `[T, hidden]`.
    ///
    /// The plain body pads: it gathers the run into rows, masks what is empty, and scatters the result back.
    fn packed_attention(
        query_key_value: Tensor<Self, 2>,
        sequences: &Sequences<Self>,
        heads: usize,
        dropout: &Dropout,
    ) -> Tensor<Self, 2> {
        let padded = sequences.padded();
        let hidden = query_key_value.dims()[1] / 3;
        let columns = hidden / heads;
        let attend = |view: &PaddedView<Self>| {
            let (rows, length) = (view.rows, view.length);
            let split = query_key_value
                .clone()
                .select(0, view.gather.clone()) // [rows·length, 3·hidden]
                .reshape([rows, length, 3, heads, columns])
                .permute([2, 0, 3, 1, 4]); // [3, rows, heads, length, columns]
            let part = |number| split.clone().narrow(0, number, 1).squeeze_dim::<4>(0);
            Self::attention_of(part(0), part(1), part(2), view.empty.clone(), dropout)
                .swap_dims(1, 2)
                .reshape([rows * length, hidden])
        };
        Tensor::cat(padded.views.iter().map(attend).collect(), 0).select(0, padded.scatter.clone()) // [T, hidden]
    }

    /// `softmax(Q·Kᵀ / √columns)·V`, all of `[rows, heads, length, columns]`; `empty` `[rows, 1, 1, length]` is true at keys
    /// that nothing attends to.
    fn attention_of(
        query: Tensor<Self, 4>,
        key: Tensor<Self, 4>,
        value: Tensor<Self, 4>,
        empty: Tensor<Self, 4, Bool>,
        dropout: &Dropout,
    ) -> Tensor<Self, 4> {
        dense_attention(query, key, value, empty, dropout)
    }

    /// Updates a flat parameter and the moments of its gradient; there are none before the first step.
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

    /// The sum of the squares of all values, in an order that is always the same.
    fn sum_of_squares(values: Tensor<Self, 1>) -> f64 {
        values.square().sum().into_data().convert::<f64>().iter::<f64>().sum()
    }
}

/// Sums over a row lose too much in 16 bits: there it is computed in 32.
fn layer_norm<B: Backend>(norm: &LayerNorm<B>, x: Tensor<B, 2>) -> Tensor<B, 2> {
    let precision = x.dtype();
    let (x, weight, bias) = (x.cast(DType::F32), norm.weight.val().cast(DType::F32), norm.bias.val().cast(DType::F32));
    let [weight, bias] = [weight, bias].map(|parameter| parameter.into_primitive().tensor());
    let normalised = B::layer_norm(x.into_primitive().tensor(), weight, Some(bias), norm.eps);
    Tensor::<B, 2>::from_primitive(TensorPrimitive::Float(normalised)).cast(precision)
}

/// Attention that holds all scores.
fn dense_attention<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    empty: Tensor<B, 4, Bool>,
    dropout: &Dropout,
) -> Tensor<B, 4> {
    let [rows, heads, length, columns] = query.dims();
    let scores = query.mul_scalar(1.0 / (columns as f64).sqrt()).matmul(key.swap_dims(2, 3));
    let empty = empty.expand([rows, heads, length, length]);
    dropout.forward(softmax(scores.mask_fill(empty, MASKED), 3)).matmul(value)
}

/// All layers in plain operations.
fn encode_plainly<B: NerBackend>(
    layers: &[EncoderLayer<B>],
    hidden: Tensor<B, 2>,
    sequences: &Sequences<B>,
) -> Tensor<B, 2> {
    layers.iter().fold(hidden, |hidden, layer| layer.forward(hidden, sequences))
}

/// An encoder as the CPU runs it.
#[derive(Debug)]
pub enum FlexEncoder {
    /// On the kernels.
    Fused(Box<FusedEncoder>),
    /// In plain operations, where no kernel has the layers' activation.
    Plain(Vec<EncoderLayer<Flex>>),
}

/// The whole encoder on the CPU kernels.
impl NerBackend for Flex {
    type Prepared = FlexEncoder;
    type Scratch = Scratch;
    type Tape = FlexTape;
    const SHAPES: Shapes = Shapes::Exact;

    fn prepare(layers: Vec<EncoderLayer<Self>>, precision: kernels::Precision) -> Self::Prepared {
        match FusedEncoder::new(&layers, precision) {
            Some(fused) => FlexEncoder::Fused(Box::new(fused)),
            None => FlexEncoder::Plain(layers),
        }
    }

    fn encode(
        encoder: &Self::Prepared,
        hidden: Tensor<Self, 2>,
        sequences: &Sequences<Self>,
        scratch: &mut Self::Scratch,
    ) -> Tensor<Self, 2> {
        match encoder {
            FlexEncoder::Fused(encoder) => encoder.forward(hidden, sequences, scratch),
            FlexEncoder::Plain(layers) => encode_plainly(layers, hidden, sequences),
        }
    }

    fn records(activation: Activation) -> bool {
        kernel_activation(activation).is_some()
    }

    fn record_layer(
        settings: LayerSettings,
        parameters: LayerParameters<Self>,
        hidden: FloatTensor<Self>,
        sequences: &[Range<usize>],
    ) -> (FloatTensor<Self>, Self::Tape) {
        fused_training::forward(settings, parameters, hidden, sequences)
    }

    fn layer_gradients(tape: Self::Tape, gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 13] {
        fused_training::backward(tape, gradient)
    }

    fn adamw(
        parameter: Tensor<Self, 1>,
        gradient: Tensor<Self, 1>,
        moments: Option<Moments<Self>>,
        step: &AdamWStep,
    ) -> (Tensor<Self, 1>, Moments<Self>) {
        let moments = moments.unwrap_or_else(|| [gradient.zeros_like(), gradient.zeros_like()]);
        let mut parameter = flex(parameter);
        let [mut first, mut second] = moments.map(flex);
        kernels::adamw(
            Isa::detect(),
            step,
            parameter.storage_mut(),
            flex(gradient).storage(),
            [first.storage_mut(), second.storage_mut()],
        );
        (from_flex(parameter), [first, second].map(from_flex))
    }

    fn sum_of_squares(values: Tensor<Self, 1>) -> f64 {
        kernels::sum_of_squares(Isa::detect(), flex(values).storage())
    }
}

fn flex<const D: usize>(tensor: Tensor<Flex, D>) -> FlexTensor {
    contiguous(tensor.into_primitive().tensor())
}

fn from_flex<const D: usize>(tensor: FlexTensor) -> Tensor<Flex, D> {
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}

/// Plain operations; the backend's fusion joins them.
#[cfg(feature = "cuda")]
impl<F: burn_cubecl::FloatElement> NerBackend for burn_cuda::Cuda<F> {
    type Prepared = Vec<EncoderLayer<Self>>;
    type Scratch = ();
    type Tape = Infallible;
    const SHAPES: Shapes = Shapes::Listed;

    fn prepare(layers: Vec<EncoderLayer<Self>>, _: kernels::Precision) -> Self::Prepared {
        layers
    }

    fn encode(
        layers: &Self::Prepared,
        hidden: Tensor<Self, 2>,
        sequences: &Sequences<Self>,
        (): &mut Self::Scratch,
    ) -> Tensor<Self, 2> {
        encode_plainly(layers, hidden, sequences)
    }

    /// Half precision has a fused kernel that holds no scores. It knows no dropout, which belongs to training, and that
    /// runs on this backend's `Autodiff`.
    fn attention_of(
        query: Tensor<Self, 4>,
        key: Tensor<Self, 4>,
        value: Tensor<Self, 4>,
        empty: Tensor<Self, 4, Bool>,
        dropout: &Dropout,
    ) -> Tensor<Self, 4> {
        if query.dtype() != DType::F16 {
            return dense_attention(query, key, value, empty, dropout);
        }
        let [rows, heads, length, _] = query.dims();
        let empty = empty.expand([rows, heads, length, length]);
        module::attention(query, key, value, Some(empty), None, AttentionModuleOptions::default())
    }
}

/// Plain operations, for training: every one of them has a gradient.
impl<B: NerBackend, C: CheckpointStrategy> NerBackend for Autodiff<B, C> {
    type Prepared = Vec<EncoderLayer<Self>>;
    type Scratch = ();
    type Tape = Infallible;
    const SHAPES: Shapes = B::SHAPES;

    fn prepare(layers: Vec<EncoderLayer<Self>>, _: kernels::Precision) -> Self::Prepared {
        layers
    }

    fn encode(
        layers: &Self::Prepared,
        hidden: Tensor<Self, 2>,
        sequences: &Sequences<Self>,
        (): &mut Self::Scratch,
    ) -> Tensor<Self, 2> {
        encode_plainly(layers, hidden, sequences)
    }

    fn trained_layer(
        layer: &EncoderLayer<Self>,
        hidden: Tensor<Self, 2>,
        sequences: &Sequences<Self>,
    ) -> Tensor<Self, 2> {
        recorded::forward(layer, &hidden, sequences).unwrap_or_else(|| layer.forward(hidden, sequences))
    }
}

/// Fine-tunes a checkpoint on a device; see [`train`](crate::train::train).
///
/// # Errors
/// If the device cannot be used, and as `train`.
pub fn fine_tune(
    checkpoint: &Checkpoint,
    examples: &mut Examples<'_>,
    development: &[Example],
    config: &TrainConfig,
    state: Option<TrainState>,
    device: Device,
    monitor: &mut dyn Monitor,
) -> Result<Vec<u8>, NerError> {
    device.probe()?;
    match device {
        Device::Cpu => train::<Autodiff<Flex>>(checkpoint, examples, development, config, state, &FlexDevice, monitor),
        #[cfg(feature = "cuda")]
        Device::Cuda(number) => {
            let device = burn_cuda::CudaDevice::new(number);
            train::<Autodiff<burn_cuda::Cuda>>(checkpoint, examples, development, config, state, &device, monitor)
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Err(NerError::Device { device, reason: crate::device::WITHOUT_CUDA.to_owned() }),
    }
}

/// Opens a checkpoint on the CPU.
///
/// # Errors
/// If the kernels lack the precision or the weights do not fit the configuration.
pub(crate) fn open_cpu(checkpoint: &Checkpoint, precision: Precision) -> Result<BurnClassifier<Flex>, NerError> {
    crate::precision::probe(precision, Device::Cpu)?;
    let precision = precision.of_kernels().expect("the probe refuses what the kernels lack");
    BurnClassifier::load(checkpoint, FlexDevice, precision)
}

/// Loads a checkpoint onto a CUDA card, as numbers of a type.
#[cfg(feature = "cuda")]
pub(crate) fn load_cuda<F: burn_cubecl::FloatElement>(
    checkpoint: &Checkpoint,
    number: usize,
) -> Result<BurnClassifier<burn_cuda::Cuda<F>>, NerError> {
    BurnClassifier::load(checkpoint, burn_cuda::CudaDevice::new(number), kernels::Precision::F32)
}

/// Bytes of a card's memory that its allocator has reserved for the thread that calls.
#[cfg(feature = "cuda")]
pub(crate) fn cuda_memory(number: usize) -> Result<u64, NerError> {
    use burn_cubecl::cubecl::Runtime;
    use burn_cubecl::cubecl::cuda::CudaRuntime;

    let usage = CudaRuntime::client(&burn_cuda::CudaDevice::new(number)).memory_usage();
    let failed = |error| NerError::DeviceFailed { device: Device::Cuda(number), message: format!("{error:?}") };
    usage.map(|usage| usage.bytes_reserved).map_err(failed)
}
