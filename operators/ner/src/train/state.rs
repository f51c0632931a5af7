//! The state saved at the end of each epoch, from which a later run can continue.

use std::collections::HashMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::optimizer::OptimizerState;
use crate::NerError;

/// A run at the end of an epoch. Everything else follows from the seed, the epoch and the step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainState {
    /// Epochs done.
    pub epochs: usize,
    /// Steps done.
    pub step: usize,
    /// The model, as a safetensors file.
    pub(crate) weights: Vec<u8>,
    /// The best epoch so far.
    pub(crate) best: Option<Best>,
    /// The optimizer's state.
    pub(crate) optimizer: OptimizerState,
}

/// The best epoch of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Best {
    pub(crate) score: f64,
    pub(crate) epoch: usize,
    /// The model, as a safetensors file.
    pub(crate) weights: Vec<u8>,
}

impl TrainState {
    /// Writes the state as a safetensors file; `label` identifies the run.
    ///
    /// # Errors
    /// If the file's header cannot be written, which only an absurdly large model can cause.
    pub fn to_bytes(&self, label: &str) -> Result<Vec<u8>, NerError> {
        let mut metadata = HashMap::from([
            ("label".to_owned(), label.to_owned()),
            ("epochs".to_owned(), self.epochs.to_string()),
            ("step".to_owned(), self.step.to_string()),
            ("time".to_owned(), self.optimizer.time.to_string()),
            ("parameters".to_owned(), self.optimizer.moments.len().to_string()),
        ]);
        let mut tensors = vec![("weights".to_owned(), Dtype::U8, self.weights.clone())];
        if let Some(best) = &self.best {
            // As bits, so that exactly the same number is read back.
            metadata.insert("best_score".to_owned(), best.score.to_bits().to_string());
            metadata.insert("best_epoch".to_owned(), best.epoch.to_string());
            tensors.push(("best".to_owned(), Dtype::U8, best.weights.clone()));
        }
        for (parameter, moments) in self.optimizer.moments.iter().enumerate() {
            for (order, moment) in moments.iter().flatten().enumerate() {
                let bytes = moment.iter().flat_map(|value| value.to_le_bytes()).collect();
                tensors.push((name(parameter, order), Dtype::F32, bytes));
            }
        }
        let views = tensors
            .iter()
            .map(|(name, dtype, bytes)| {
                let length = if *dtype == Dtype::F32 { bytes.len() / 4 } else { bytes.len() };
                Ok((name.as_str(), TensorView::new(*dtype, vec![length], bytes)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        views.and_then(|views| safetensors::serialize(views, Some(metadata))).map_err(NerError::Export)
    }

    /// Reads a state; `None` if the bytes are not a state, or belong to a run with another label.
    pub fn from_bytes(bytes: &[u8], label: &str) -> Option<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
        let metadata = header.metadata().as_ref()?;
        if metadata.get("label").map(String::as_str) != Some(label) {
            return None;
        }
        let number = |key: &str| metadata.get(key)?.parse::<usize>().ok();
        let file = SafeTensors::deserialize(bytes).ok()?;
        let blob = |name: &str| Some(file.tensor(name).ok()?.data().to_vec());
        let moment = |parameter, order| {
            let bytes = blob(&name(parameter, order))?;
            Some(bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
        };
        let weights = blob("weights")?;
        // Each parameter takes some bytes of the weights, so this bounds an untrusted count.
        let parameters = number("parameters").filter(|count| *count <= weights.len())?;
        let moments = (0..parameters).map(|at| Some([moment(at, 0)?, moment(at, 1)?])).collect();
        let best = match metadata.get("best_score") {
            Some(bits) => Some(Best {
                score: f64::from_bits(bits.parse().ok()?),
                epoch: number("best_epoch")?,
                weights: blob("best")?,
            }),
            None => None,
        };
        Some(Self {
            epochs: number("epochs")?,
            step: number("step")?,
            weights,
            best,
            optimizer: OptimizerState { time: number("time")?, moments },
        })
    }
}

/// The name of a parameter's first (0) or second (1) moment.
fn name(parameter: usize, order: usize) -> String {
    format!("moment.{parameter}.{order}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back_by_its_own_run_alone() {
        let state = TrainState {
            epochs: 2,
            step: 17,
            weights: vec![1, 2, 3],
            best: Some(Best { score: 0.1 + 0.2, epoch: 1, weights: vec![9] }),
            optimizer: OptimizerState { time: 17, moments: vec![Some([vec![0.5, -1.0], vec![2.0, 3.0]]), None] },
        };
        let bytes = state.to_bytes("a").unwrap();
        assert_eq!(TrainState::from_bytes(&bytes, "a"), Some(state));
        assert_eq!(TrainState::from_bytes(&bytes, "b"), None);
        assert_eq!(TrainState::from_bytes(&bytes[..bytes.len() - 1], "a"), None);
    }

    #[test]
    fn a_state_that_claims_more_parameters_than_it_has_is_rejected() {
        let mut state = TrainState { weights: vec![1, 2, 3], ..TrainState::default() };
        state.optimizer.moments = vec![None; 3];
        assert!(TrainState::from_bytes(&state.to_bytes("a").unwrap(), "a").is_some());
        let metadata =
            [("label", "a"), ("epochs", "1"), ("step", "1"), ("time", "1"), ("parameters", "99999999999999")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let weights = TensorView::new(Dtype::U8, vec![3], &[1, 2, 3]).unwrap();
        let hostile = safetensors::serialize([("weights", weights)], Some(metadata)).unwrap();
        assert_eq!(TrainState::from_bytes(&hostile, "a"), None);
    }
}
