//! AdamW over the model's parameters in module order.
//!
//! Burn's optimiser takes one configuration for a whole module, clips each tensor by itself, and keys its state by ids
//! that are drawn anew in every process. Here each parameter has its own learning rate and weight decay, gradients are
//! clipped by their global norm, and state is kept by position, so that a resumed run finds it again. The step itself is
//! Burn's [`AdamW`].

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamW, AdamWConfig, GradientsParams, SimpleOptimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::config::TrainConfig;
use crate::model::TokenClassification;

/// As in PyTorch; Burn's own default, 1e-5, damps the small gradients of fine-tuning.
const EPSILON: f32 = 1e-8;

type State<B> = <AdamW as SimpleOptimizer<B>>::State<1>;

/// The optimiser of a fine-tuning run.
pub(crate) struct Optimizer<B: Backend> {
    with_decay: AdamW,
    without_decay: AdamW,
    clip_norm: f32,
    layer_decay: f64,
    layers: usize,
    states: Vec<Option<State<B>>>,
}

impl<B: Backend> Optimizer<B> {
    /// An optimiser for a model of so many encoder layers.
    pub(crate) fn new(config: &TrainConfig, layers: usize) -> Self {
        let adamw = |decay| AdamWConfig::new().with_epsilon(EPSILON).with_weight_decay(decay).build();
        Self {
            with_decay: adamw(config.weight_decay),
            without_decay: adamw(0.0),
            clip_norm: config.clip_norm,
            layer_decay: config.layer_decay,
            layers,
            states: Vec::new(),
        }
    }

    /// Updates every parameter that has a gradient; returns the gradients' norm before clipping, too.
    pub(crate) fn step<A>(
        &mut self,
        learning_rate: f64,
        model: TokenClassification<A>,
        gradients: GradientsParams,
    ) -> (TokenClassification<A>, f32)
    where
        A: AutodiffBackend<InnerBackend = B>,
    {
        let mut squares = SumOfSquares { gradients: &gradients, sum: 0.0 };
        model.visit(&mut squares);
        let norm = squares.sum.sqrt() as f32;
        let scale = if norm > self.clip_norm { self.clip_norm / norm } else { 1.0 };
        let model =
            model.map(&mut Step { optimizer: self, gradients, learning_rate, scale, next: 0, path: Vec::new() });
        (model, norm)
    }

    /// How much slower than the head a parameter learns, by its depth.
    fn rate(&self, path: &[String]) -> f64 {
        let below_head = match path {
            [top, ..] if top == "classifier" => 0,
            [top, layer, ..] if top == "layers" => layer.parse().map_or(0, |layer: usize| self.layers - layer),
            _ => self.layers + 1,
        };
        self.layer_decay.powi(i32::try_from(below_head).unwrap_or(i32::MAX))
    }
}

/// Adds up the squares of all gradients, in module order: the same order gives the same rounding.
struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if let Some(gradient) = self.gradients.get::<A::InnerBackend, D>(param.id) {
            let square = gradient.square().sum().into_data().convert::<f64>();
            self.sum += square.iter::<f64>().sum::<f64>();
        }
    }
}

/// One step over the model's parameters.
struct Step<'a, B: Backend> {
    optimizer: &'a mut Optimizer<B>,
    gradients: GradientsParams,
    learning_rate: f64,
    scale: f32,
    /// Position of the next parameter.
    next: usize,
    /// Names of the modules around it.
    path: Vec<String>,
}

impl<A: AutodiffBackend> ModuleMapper<A> for Step<'_, A::InnerBackend> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let position = self.next;
        self.next += 1;
        if self.optimizer.states.len() <= position {
            self.optimizer.states.push(None);
        }
        let Some(gradient) = self.gradients.remove::<A::InnerBackend, D>(param.id) else { return param };
        // Vectors are biases and LayerNorm parameters: they do not decay.
        let adamw = if D > 1 { &self.optimizer.with_decay } else { &self.optimizer.without_decay };
        let rate = self.learning_rate * self.optimizer.rate(&self.path);
        let state = self.optimizer.states[position].take();

        let (id, tensor, mapper) = param.consume();
        let shape = tensor.shape();
        let flat = [shape.num_elements()];
        // States of one rank, whatever the parameter's, make one list.
        let gradient = gradient.reshape(flat).mul_scalar(self.scale);
        let (tensor, state) = adamw.step(rate, tensor.inner().reshape(flat), gradient, state);
        self.optimizer.states[position] = state;
        let tensor = Tensor::from_inner(tensor.reshape(shape)).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}
