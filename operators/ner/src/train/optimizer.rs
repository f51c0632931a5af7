//! AdamW (Loshchilov and Hutter, 2019) over the model's parameters in module order.
//!
//! Burn's optimizer has one configuration for a whole module, clips each tensor separately, and keys its state by ids that
//! differ between processes. Here each parameter has its own learning rate and weight decay, gradients are clipped by their
//! global norm, and state is kept by position, so that a resumed run can use it. The arithmetic is the backend's:
//! [`NerBackend::adamw`].

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};

use super::config::TrainConfig;
use crate::backend::{Moments, NerBackend};
use crate::host::floats;
use crate::kernels::AdamWStep;

/// The optimizer of a fine-tuning run.
pub(crate) struct Optimizer<B: NerBackend> {
    weight_decay: f32,
    clip_norm: f32,
    layer_decay: f64,
    layers: usize,
    /// Steps done.
    time: usize,
    /// Moments of each parameter, in module order; `None` before its first gradient.
    moments: Vec<Option<Moments<B>>>,
}

/// The optimizer's state, as saved with a resumable run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OptimizerState {
    /// Steps done.
    pub(crate) time: usize,
    /// First and second moment of each parameter's gradient, in module order.
    pub(crate) moments: Vec<Option<[Vec<f32>; 2]>>,
}

impl<B: NerBackend> Optimizer<B> {
    /// An optimizer for a model with this many encoder layers.
    pub(crate) fn new(config: &TrainConfig, layers: usize) -> Self {
        let &TrainConfig { weight_decay, clip_norm, layer_decay, .. } = config;
        Self { weight_decay, clip_norm, layer_decay, layers, time: 0, moments: Vec::new() }
    }

    /// The state that a resumed run needs.
    pub(crate) fn state(&self) -> OptimizerState {
        let values = |moments: &Moments<B>| moments.each_ref().map(|moment| floats(moment.clone()));
        OptimizerState {
            time: self.time,
            moments: self.moments.iter().map(|moments| moments.as_ref().map(values)).collect(),
        }
    }

    /// Restores a saved state.
    pub(crate) fn restore(&mut self, state: OptimizerState, device: &B::Device) {
        let tensor = |values: Vec<f32>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        self.time = state.time;
        self.moments = state.moments.into_iter().map(|moments| moments.map(|pair| pair.map(tensor))).collect();
    }

    /// Updates every parameter that has a gradient; also returns the norm of the gradients before clipping.
    pub(crate) fn step<A, M>(&mut self, learning_rate: f64, model: M, gradients: GradientsParams) -> (M, f32)
    where
        A: AutodiffBackend<InnerBackend = B>,
        M: Module<A>,
    {
        self.time += 1;
        let mut squares = SumOfSquares { gradients: &gradients, sum: 0.0 };
        model.visit(&mut squares);
        let norm = squares.sum.sqrt() as f32;
        let scale = if norm > self.clip_norm { self.clip_norm / norm } else { 1.0 };
        let model =
            model.map(&mut Step { optimizer: self, gradients, learning_rate, scale, next: 0, path: Vec::new() });
        (model, norm)
    }

    /// The learning rate of a parameter relative to the head's, by depth.
    fn rate(&self, path: &[String]) -> f64 {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let below_head = match *path {
            ["encoder", "layers", layer, ..] => layer.parse().map_or(0, |layer: usize| self.layers - layer),
            ["encoder", ..] => self.layers + 1,
            _ => 0,
        };
        self.layer_decay.powi(i32::try_from(below_head).unwrap_or(i32::MAX))
    }
}

/// Adds up the squares of all gradients, always in module order, so that rounding is the same.
struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl<A> ModuleVisitor<A> for SumOfSquares<'_>
where
    A: AutodiffBackend<InnerBackend: NerBackend>,
{
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if let Some(gradient) = self.gradients.get::<A::InnerBackend, D>(param.id) {
            self.sum += A::InnerBackend::sum_of_squares(flat(gradient));
        }
    }
}

/// One step over the model's parameters.
struct Step<'a, B: NerBackend> {
    optimizer: &'a mut Optimizer<B>,
    gradients: GradientsParams,
    learning_rate: f64,
    scale: f32,
    /// Position of the next parameter.
    next: usize,
    /// Names of the enclosing modules.
    path: Vec<String>,
}

impl<B: NerBackend, A: AutodiffBackend<InnerBackend = B>> ModuleMapper<A> for Step<'_, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let position = self.next;
        self.next += 1;
        if self.optimizer.moments.len() <= position {
            self.optimizer.moments.push(None);
        }
        let Some(gradient) = self.gradients.remove::<B, D>(param.id) else { return param };
        // Vectors are biases and LayerNorm parameters, which do not decay.
        let decay = if D > 1 { self.optimizer.weight_decay } else { 0.0 };
        let rate = self.learning_rate * self.optimizer.rate(&self.path);
        let step = AdamWStep::new(rate, decay, self.scale, self.optimizer.time);
        let moments = self.optimizer.moments[position].take();

        let (id, tensor, mapper) = param.consume();
        let shape = tensor.shape();
        // All moments have rank 1, so that they fit into one list.
        let (tensor, moments) = B::adamw(flat(tensor.inner()), flat(gradient), moments, &step);
        self.optimizer.moments[position] = Some(moments);
        let tensor = Tensor::from_inner(tensor.reshape(shape)).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

fn flat<B: NerBackend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, 1> {
    let elements = tensor.shape().num_elements();
    tensor.reshape([elements])
}
