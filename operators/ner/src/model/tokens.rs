//! Token classification.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::encoder::{Encoder, PreparedEncoder};
use super::inputs::Inputs;
use super::parts::Linear;
use crate::backend::NerBackend;
use crate::config::ModelConfig;
use crate::kernels;
use crate::weights::Weights;

/// A token classifier, in the form that is trained and saved.
#[derive(Module, Debug)]
pub(crate) struct TokenClassification<B: Backend> {
    /// Token ids to vectors that know their context.
    pub(crate) encoder: Encoder<B>,
    /// Vectors to logits.
    pub(crate) classifier: Linear<B>,
    dropout: Dropout,
}

impl<B: Backend> TokenClassification<B> {
    /// Builds a model from its configuration and weights.
    pub(crate) fn load(config: &ModelConfig, weights: &mut Weights, device: &B::Device) -> Self {
        Self {
            encoder: Encoder::load(&config.encoder, weights, device),
            classifier: Linear::load(&["classifier"], config.encoder.hidden_size, weights, device),
            dropout: DropoutConfig::new(config.classifier_dropout).init(),
        }
    }
}

impl<B: NerBackend> TokenClassification<B> {
    /// Computes the logits `[T, labels]`, differentiably.
    pub(crate) fn forward(&self, inputs: &Inputs<B>) -> Tensor<B, 2> {
        self.classifier.forward(self.dropout.forward(self.encoder.forward(inputs)))
    }

    /// Converts the model to the form that its backend runs: an encoder whose outputs are the logits `[T, labels]`.
    pub(crate) fn prepare(self, precision: kernels::Precision) -> PreparedEncoder<B> {
        self.encoder.prepare(Some(self.classifier), precision)
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::backend::AutodiffBackend;
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::packed::MicroBatch;
    use crate::shapes::Shapes;
    use crate::testing::fixture;

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
        let (config, mut weights) = fixture("tiny-bert");
        TokenClassification::load(&config, &mut weights, &FlexDevice)
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
        // Three tables; MPNet has no types of tokens, but a bias by distance.
        for (name, layers, tables) in [("tiny-bert", 2, 3), ("tiny-mpnet", 1, 3)] {
            let (config, mut weights) = fixture(name);
            let model = TokenClassification::<Autodiff<Flex>>::load(&config, &mut weights, &FlexDevice);
            let gradients = model.forward(&inputs()).powi_scalar(2).sum().backward();
            let mut seen = Untouched { gradients: &gradients, parameters: 0, untouched: Vec::new() };
            model.visit(&mut seen);
            // A norm, a classifier; per layer four linear layers and two norms.
            assert_eq!(seen.parameters, tables + 2 + 2 + layers * (4 * 2 + 2 * 2), "{name}");
            assert!(seen.untouched.is_empty(), "{name}: no gradient for parameters of shape {:?}", seen.untouched);
        }
    }

    #[test]
    fn dropout_is_active_in_training_only() {
        let trained = tiny::<Autodiff<Flex>>();
        assert_ne!(logits(&trained), logits(&trained));
        let run = tiny::<Flex>();
        assert_eq!(logits(&run), logits(&run));
    }
}
