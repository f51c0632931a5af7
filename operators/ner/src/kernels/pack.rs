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
    /// Calls `fill` with the outputs of each panel and all their weights: a row of `shape.panel` outputs for each input, and
    /// rows of zeros up to `shape.inner·group` inputs. Missing outputs are zero.
    pub(super) fn each_panel(self, shape: Shape, group: usize, mut fill: impl FnMut(Range<usize>, &[f32])) {
        let mut rows = vec![0.0; shape.inner * group * shape.panel];
        for first in (0..self.outputs).step_by(shape.panel) {
            let outputs = first..self.outputs.min(first + shape.panel);
            if outputs.len() < shape.panel {
                rows.fill(0.0);
            }
            let places = rows.chunks_exact_mut(shape.panel);
            match self.layout {
                Layout::InOut => {
                    for (row, values) in places.zip(self.values.chunks_exact(self.outputs)) {
                        row[..outputs.len()].copy_from_slice(&values[outputs.clone()]);
                    }
                }
                Layout::OutIn => {
                    let values = &self.values[first * self.inputs..outputs.end * self.inputs];
                    for (input, row) in places.take(self.inputs).enumerate() {
                        let column = values.iter().skip(input).step_by(self.inputs);
                        row.iter_mut().zip(column).for_each(|(place, value)| *place = *value);
                    }
                }
            }
            fill(outputs, &rows);
        }
    }
}

/// A value of 32 bits.
pub(super) trait Bits: Copy {
    fn bits(self) -> u32;
}

impl Bits for f32 {
    #[inline(always)]
    fn bits(self) -> u32 {
        self.to_bits()
    }
}

impl Bits for u32 {
    #[inline(always)]
    fn bits(self) -> u32 {
        self
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

/// Fills panels from contiguous columns. Padding columns of the last panel are left unchanged.
#[inline(always)]
pub(super) fn pack_columns<'a, T: Bits + 'a>(shape: Shape, panels: &mut [u32], column: impl Fn(usize) -> &'a [T]) {
    each_panel(shape, panels, |inner, columns, panel| fill_from_columns(shape, inner, columns, panel, &column));
}

/// Fills one panel.
#[inline(always)]
pub(super) fn fill_from_columns<'a, T: Bits + 'a>(
    shape: Shape,
    inner: Range<usize>,
    columns: Range<usize>,
    panel: &mut [u32],
    column: &impl Fn(usize) -> &'a [T],
) {
    for (place, at) in columns.enumerate() {
        for (row, value) in panel.chunks_exact_mut(shape.panel).zip(&column(at)[inner.clone()]) {
            row[place] = value.bits();
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
        fn every_word_is_found_where_the_shape_says(
            inner in 1usize..700, columns in 1usize..80, panel in prop::sample::select(vec![8usize, 16, 32]),
        ) {
            let shape = Shape { inner, columns, panel };
            let values: Vec<f32> = (0..inner * columns).map(|x| x as f32).collect();
            let mut by_rows = vec![0; shape.words()];
            pack_rows(shape, &mut by_rows, |i| &values[i * columns..][..columns]);
            for i in 0..inner {
                for j in 0..columns {
                    prop_assert_eq!(by_rows[shape.index(i, j)], values[i * columns + j].to_bits());
                }
            }
            let transposed = transposed(&values, columns);
            let mut by_columns = vec![0; shape.words()];
            pack_columns(shape, &mut by_columns, |j| &transposed[j * inner..][..inner]);
            prop_assert_eq!(by_columns, by_rows);
        }

        #[test]
        fn a_panel_has_all_weights_of_its_outputs_in_either_layout(
            inputs in 1usize..70, outputs in 1usize..80, group in 1usize..5, panel in prop::sample::select(vec![8usize, 32]),
        ) {
            let shape = Shape { inner: inputs.div_ceil(group), columns: outputs, panel };
            let in_out: Vec<f32> = (1..=inputs * outputs).map(|x| x as f32).collect();
            let out_in = transposed(&in_out, outputs);
            for (values, layout) in [(&in_out, Layout::InOut), (&out_in, Layout::OutIn)] {
                let mut next = 0;
                Matrix { values, layout, inputs, outputs }.each_panel(shape, group, |panels_outputs, rows| {
                    assert_eq!(panels_outputs.start, next);
                    next = panels_outputs.end;
                    for (at, value) in rows.iter().enumerate() {
                        let (input, output) = (at / panel, panels_outputs.start + at % panel);
                        let there = input < inputs && output < outputs;
                        assert_eq!(*value, if there { in_out[input * outputs + output] } else { 0.0 });
                    }
                });
                prop_assert_eq!(next, outputs);
            }
        }
    }

    fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
        (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect()
    }
}
