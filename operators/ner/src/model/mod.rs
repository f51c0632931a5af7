//! The model: BERT with a token-classification head (Devlin et al., 2019), over packed sequences.
//!
//! ```text
//! ids [T] ─► Embeddings ─► EncoderLayer × n ─► Linear ─► logits [T, labels]
//! ```
//!
//! T is the number of tokens of all sequences. The modules are generic over the backend; under `Autodiff` they can be
//! trained, dropout included. For inference, [`TokenClassification::prepare`] gives the layers to the backend.

mod attention;
mod embeddings;
mod layer;
mod parts;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use crate::backend::{FusedEncoder, NerBackend};
use crate::config::ModelConfig;
use crate::host::index;
use crate::kernels;
use crate::packed::{MicroBatch, Sequences};
use crate::shapes::Shapes;
use crate::weights::Weights;

pub(crate) use embeddings::Embeddings;
pub(crate) use layer::EncoderLayer;
pub(crate) use parts::{LayerNorm, Linear};

/// The whole model, in the form that is trained and saved.
#[derive(Module, Debug)]
pub(crate) struct TokenClassification<B: Backend> {
    /// Token ids to vectors.
    pub(crate) embeddings: Embeddings<B>,
    /// The encoder.
    pub(crate) layers: Vec<EncoderLayer<B>>,
    /// Vectors to logits.
    pub(crate) classifier: Linear<B>,
    dropout: Dropout,
}

/// The model, with the encoder in the form that its backend runs.
pub(crate) struct PreparedModel<B: NerBackend> {
    embeddings: Embeddings<B>,
    encoder: PreparedEncoder<B>,
    classifier: Linear<B>,
}

/// An encoder in the form that its backend runs.
enum PreparedEncoder<B: NerBackend> {
    Fused(Box<dyn FusedEncoder<B>>),
    /// Layer by layer, if the backend has no fused encoder.
    Layers(Vec<EncoderLayer<B>>),
}

/// A micro-batch on the device.
#[derive(Debug)]
pub(crate) struct Inputs<B: Backend> {
    /// `[T]`
    pub(crate) ids: Tensor<B, 1, Int>,
    /// `[T]`: the row of the position table for each token.
    pub(crate) positions: Tensor<B, 1, Int>,
    /// Where sequences begin and end.
    pub(crate) sequences: Sequences<B>,
}

impl<B: Backend> TokenClassification<B> {
    /// Builds a model from its configuration and weights.
    pub(crate) fn load(config: &ModelConfig, weights: &mut Weights, device: &B::Device) -> Self {
        Self {
            embeddings: Embeddings::load(config, weights, device),
            layers: (0..config.layers).map(|layer| EncoderLayer::load(config, layer, weights, device)).collect(),
            classifier: Linear::load(&["classifier"], config.hidden_size, weights, device),
            dropout: DropoutConfig::new(config.classifier_dropout).init(),
        }
    }
}

impl<B: NerBackend> TokenClassification<B> {
    /// Computes the logits `[T, labels]`, differentiably.
    pub(crate) fn forward(&self, inputs: &Inputs<B>) -> Tensor<B, 2> {
        let mut hidden = self.embeddings.forward(inputs.ids.clone(), inputs.positions.clone());
        for layer in &self.layers {
            hidden = layer.forward_training(hidden, &inputs.sequences);
        }
        self.classifier.forward(self.dropout.forward(hidden))
    }

    /// Converts the model to the form that its backend runs.
    pub(crate) fn prepare(self, precision: kernels::Precision) -> PreparedModel<B> {
        let tensors: Vec<_> = self.layers.iter().map(EncoderLayer::tensors).collect();
        let encoder = match B::fuse(&tensors, precision) {
            Some(fused) => PreparedEncoder::Fused(fused),
            None => PreparedEncoder::Layers(self.layers),
        };
        PreparedModel { embeddings: self.embeddings, encoder, classifier: self.classifier }
    }
}

impl<B: NerBackend> PreparedModel<B> {
    /// The same model for another thread: shares the weights, but has working memory of its own.
    pub(crate) fn for_another_thread(&self) -> Self {
        let encoder = match &self.encoder {
            PreparedEncoder::Fused(encoder) => PreparedEncoder::Fused(encoder.for_another_thread()),
            PreparedEncoder::Layers(layers) => PreparedEncoder::Layers(layers.clone()),
        };
        Self { embeddings: self.embeddings.clone(), encoder, classifier: self.classifier.clone() }
    }

    /// Computes the logits `[T, labels]`.
    pub(crate) fn forward(&mut self, inputs: &Inputs<B>) -> Tensor<B, 2> {
        let hidden = self.embeddings.forward(inputs.ids.clone(), inputs.positions.clone());
        let encoded = match &mut self.encoder {
            PreparedEncoder::Fused(encoder) => encoder.forward(hidden, &inputs.sequences),
            PreparedEncoder::Layers(layers) => {
                layers.iter().fold(hidden, |hidden, layer| layer.forward(hidden, &inputs.sequences))
            }
        };
        self.classifier.forward(encoded)
    }
}

impl<B: Backend> Inputs<B> {
    /// Copies a micro-batch to the device, with padding tokens at the end if `shapes` requires them.
    pub(crate) fn new(batch: &MicroBatch, first_position: usize, shapes: Shapes, device: &B::Device) -> Self {
        let tokens = shapes.tokens(batch.token_count());
        // Ids fit: they are below the size of the vocabulary, which is the height of a table in memory.
        let mut ids: Vec<i32> = batch.ids().iter().map(|&id| index(id as usize)).collect();
        let mut positions: Vec<i32> =
            batch.sequences().flat_map(|sequence| first_position..first_position + sequence.len()).map(index).collect();
        ids.resize(tokens, 0);
        positions.resize(tokens, index(first_position));
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [tokens]), device),
            positions: Tensor::from_data(TensorData::new(positions, [tokens]), device),
            sequences: Sequences::new(batch.sequences().collect(), tokens, shapes, device),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::backend::AutodiffBackend;
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::Checkpoint;

    /// Parameters without a gradient, or with a gradient of zeros.
    struct Untouched<'a, A: AutodiffBackend> {
        gradients: &'a A::Gradients,
        parameters: usize,
        untouched: Vec<Vec<usize>>,
    }

    impl<A: AutodiffBackend> ModuleVisitor<A> for Untouched<'_, A> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<A, D>>) {
            self.parameters += 1;
            let gradient = parameter.val().grad(self.gradients);
            let moves =
                gradient.is_some_and(|gradient| gradient.abs().sum().into_data().iter::<f32>().all(|sum| sum > 0.0));
            if !moves {
                self.untouched.push(parameter.val().dims().to_vec());
            }
        }
    }

    fn tiny<B: Backend<Device = FlexDevice>>() -> TokenClassification<B> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert");
        let checkpoint = Checkpoint::open(directory).unwrap();
        let mut weights = checkpoint.read_weights().unwrap();
        TokenClassification::load(checkpoint.config(), &mut weights, &FlexDevice)
    }

    fn inputs<B: Backend<Device = FlexDevice>>() -> Inputs<B> {
        let mut batch = MicroBatch::default();
        batch.push(&[2, 40, 41, 42, 3]);
        batch.push(&[2, 99, 3]);
        Inputs::new(&batch, 0, Shapes::Exact, &FlexDevice)
    }

    fn logits<B: NerBackend<Device = FlexDevice>>(model: &TokenClassification<B>) -> Vec<f32> {
        model.forward(&inputs()).into_data().to_vec().unwrap()
    }

    #[test]
    fn every_parameter_has_a_gradient() {
        let model = tiny::<Autodiff<Flex>>();
        let gradients = model.forward(&inputs()).powi_scalar(2).sum().backward();
        let mut seen = Untouched { gradients: &gradients, parameters: 0, untouched: Vec::new() };
        model.visit(&mut seen);
        // Three tables, a norm, a classifier; per layer four linear layers and two norms.
        assert_eq!(seen.parameters, 3 + 2 + 2 + 2 * (4 * 2 + 2 * 2));
        assert!(seen.untouched.is_empty(), "no gradient for parameters of shape {:?}", seen.untouched);
    }

    #[test]
    fn dropout_is_active_in_training_only() {
        let trained = tiny::<Autodiff<Flex>>();
        assert_ne!(logits(&trained), logits(&trained));
        let run = tiny::<Flex>();
        assert_eq!(logits(&run), logits(&run));
    }
}
