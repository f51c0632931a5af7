//! What a model reads at a time.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use crate::host::index;
use crate::packed::{MicroBatch, Sequences};
use crate::shapes::Shapes;

/// A micro-batch on the device.
#[derive(Debug)]
pub(crate) struct Inputs<B: Backend> {
    /// `[T]`
    pub(crate) ids: Tensor<B, 1, Int>,
    /// `[T]`: the row of the position table for each token.
    pub(crate) positions: Tensor<B, 1, Int>,
    /// Where sequences begin and end.
    pub(crate) sequences: Sequences<B>,
    /// The tokens whose outputs are needed, on the host.
    pub(crate) scored: Vec<u32>,
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
            scored: batch.scored().to_vec(),
        }
    }
}
