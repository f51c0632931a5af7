//! Packs weights for the matrix product.

use std::ops::Range;

use super::gemm::Shape;

/// The layout of a weight matrix, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[out, in]`, as in PyTorch and Hugging Face checkpoints.
    OutIn,
    /// `[in, out]`, as in Burn.
    InOut,
}

/// A borrowed weight matrix.
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

/// Calls `fill` with the inner indices, the columns and the words of each panel of each block.
#[inline(always)]
fn each_panel(shape: Shape, panels: &mut [u32], mut fill: impl FnMut(Range<usize>, Range<usize>, &mut [u32])) {
    let mut rest = panels;
    for number in 0..shape.panels() {
        let (inner, columns) = shape.nth_panel(number);
        let (panel, others) = rest.split_at_mut(inner.len() * shape.panel);
        fill(inner, columns, panel);
        rest = others;
    }
}

/// Fills panels word by word; padding columns of the last panel are zero.
pub(super) fn pack(shape: Shape, panels: &mut [u32], word: impl Fn(usize, usize) -> u32) {
    each_panel(shape, panels, |inner, columns, panel| {
        for (inner, row) in inner.zip(panel.chunks_exact_mut(shape.panel)) {
            row.iter_mut().zip(columns.clone()).for_each(|(place, column)| *place = word(inner, column));
            row[columns.len()..].fill(0);
        }
    });
}

/// Fills panels of `f32` from contiguous columns. Padding columns of the last panel are left unchanged.
#[inline(always)]
pub(super) fn pack_columns<'a>(shape: Shape, panels: &mut [u32], column: impl Fn(usize) -> &'a [f32]) {
    each_panel(shape, panels, |inner, columns, panel| fill_from_columns(shape, inner, columns, panel, &column));
}

/// Fills one panel.
#[inline(always)]
pub(super) fn fill_from_columns<'a>(
    shape: Shape,
    inner: Range<usize>,
    columns: Range<usize>,
    panel: &mut [u32],
    column: &impl Fn(usize) -> &'a [f32],
) {
    for (place, at) in columns.enumerate() {
        for (row, value) in panel.chunks_exact_mut(shape.panel).zip(&column(at)[inner.clone()]) {
            row[place] = value.to_bits();
        }
    }
}

/// Fills panels of `f32` from contiguous rows.
#[inline(always)]
pub(super) fn pack_rows<'a>(shape: Shape, panels: &mut [u32], row: impl Fn(usize) -> &'a [f32]) {
    each_panel(shape, panels, |inner, columns, panel| fill_from_rows(shape, inner, columns, panel, &row));
}

/// Fills one panel.
#[inline(always)]
pub(super) fn fill_from_rows<'a>(
    shape: Shape,
    inner: Range<usize>,
    columns: Range<usize>,
    panel: &mut [u32],
    row: &impl Fn(usize) -> &'a [f32],
) {
    for (at, places) in inner.zip(panel.chunks_exact_mut(shape.panel)) {
        let values = &row(at)[columns.clone()];
        places.iter_mut().zip(values).for_each(|(place, value)| *place = value.to_bits());
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
            let values: Vec<f32> = (0..inner * columns).map(|x| x as f32).collect();
            pack_rows(shape, &mut panels, |i| &values[i * columns..][..columns]);
            let by_rows = panels.clone();
            let transposed: Vec<f32> = (0..inner * columns).map(|x| (x % inner * columns + x / inner) as f32).collect();
            panels.fill(0);
            pack_columns(shape, &mut panels, |j| &transposed[j * inner..][..inner]);
            prop_assert_eq!(&panels, &by_rows);
            pack(shape, &mut panels, |i, j| values[i * columns + j].to_bits());
            prop_assert_eq!(&panels, &by_rows);
            panels.fill(u32::MAX);
            pack(shape, &mut panels, |i, j| (i * 1000 + j) as u32);
            let padding = panels.iter().filter(|word| **word == u32::MAX).count();
            prop_assert_eq!(padding, 0);
        }
    }
}
