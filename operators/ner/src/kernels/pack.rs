//! Weights laid out as the matrix product reads them.

use super::gemm::Shape;

/// How a weight matrix lies in memory, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[out, in]`, as PyTorch and Hugging Face keep it.
    OutIn,
    /// `[in, out]`, as Burn keeps it.
    InOut,
}

/// A weight matrix that is only read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) layout: Layout,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl Matrix<'_> {
    /// The weight between an input and an output.
    #[inline(always)]
    pub(super) fn at(&self, input: usize, output: usize) -> f32 {
        match self.layout {
            Layout::OutIn => self.values[output * self.inputs + input],
            Layout::InOut => self.values[input * self.outputs + output],
        }
    }
}

/// Fills panels word by word; columns that only fill up the last panel are zero.
#[inline(always)]
pub(super) fn pack(shape: Shape, panels: &mut [u32], word: impl Fn(usize, usize) -> u32) {
    let mut rows = panels.chunks_exact_mut(shape.panel);
    for block in (0..shape.inner).step_by(shape.block()) {
        for panel in (0..shape.columns).step_by(shape.panel) {
            let columns = shape.panel.min(shape.columns - panel);
            for (inner, row) in (block..shape.inner.min(block + shape.block())).zip(&mut rows) {
                for (column, place) in row[..columns].iter_mut().enumerate() {
                    *place = word(inner, panel + column);
                }
                row[columns..].fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_word_is_found_where_the_shape_says(inner in 1usize..700, columns in 1usize..80, panel in prop::sample::select(vec![8usize, 16, 32])) {
            let shape = Shape { inner, columns, panel };
            let mut panels = vec![u32::MAX; shape.words()];
            pack(shape, &mut panels, |inner, column| (inner * 1000 + column) as u32);
            for i in 0..inner {
                for j in 0..columns {
                    prop_assert_eq!(panels[shape.index(i, j)], (i * 1000 + j) as u32);
                }
            }
            let padding = panels.iter().filter(|word| **word == u32::MAX).count();
            prop_assert_eq!(padding, 0);
        }
    }
}
