//! Products whose right side changes with each step: packed every time, into memory that is reused.

use std::ops::Range;

use crate::kernels::buffer::Buffer;
use crate::kernels::epilogue::{Complete, Epilogue, Plain};
use crate::kernels::gemm::{F32, Finish, Rows, Shape, multiply};
use crate::kernels::isa::Isa;
use crate::kernels::pack::{fill_from_columns, fill_from_rows};
use crate::kernels::parallel::{Blocks, Shared, for_each};
use crate::kernels::simd::{Kernel, Simd};

/// Rows of a weight gradient per unit of work: their share of the left side stays in the second-level cache for all panels.
const GRADIENT_ROWS: usize = 192;

/// Rows of values, possibly with gaps between them.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) stride: usize,
}

impl<'a> Table<'a> {
    /// Rows without gaps.
    pub(super) fn new(values: &'a [f32], columns: usize) -> Self {
        assert!(values.len().is_multiple_of(columns), "whole rows");
        Self { values, rows: values.len() / columns, columns, stride: columns }
    }

    /// Some columns of a wider table.
    pub(super) fn within(values: &'a [f32], rows: Range<usize>, columns: Range<usize>, stride: usize) -> Self {
        let end = if rows.is_empty() { 0 } else { (rows.end - 1) * stride + columns.end };
        assert!(columns.end <= stride && end <= values.len(), "the part is inside the table");
        let values = &values[(rows.start * stride + columns.start).min(values.len())..];
        Self { values, rows: rows.len(), columns: columns.len(), stride }
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..self.columns]
    }

    /// The rows as the left side of a product.
    fn left(&self) -> Rows {
        Rows { start: self.values.as_ptr().cast(), stride: self.stride, count: self.rows }
    }
}

/// The right side of a product, packed.
#[derive(Clone, Default)]
pub(super) struct Panels {
    words: Buffer,
    shape: Option<Shape>,
}

impl Panels {
    /// Packs a table; a product's inner dimension runs over its rows.
    pub(super) fn pack<L: Send>(&mut self, isa: Isa, table: Table, lanes: &mut [L]) {
        self.fill(isa, table, table.rows, table.columns, false, lanes);
    }

    /// Packs a table's transpose; a product's inner dimension runs over its columns.
    pub(super) fn pack_transposed<L: Send>(&mut self, isa: Isa, table: Table, lanes: &mut [L]) {
        self.fill(isa, table, table.columns, table.rows, true, lanes);
    }

    fn fill<L: Send>(
        &mut self,
        isa: Isa,
        table: Table,
        inner: usize,
        columns: usize,
        transposed: bool,
        lanes: &mut [L],
    ) {
        let shape = Shape { inner, columns, panel: isa.panel_columns() };
        let words = Shared::new(self.words.floats(shape.words()));
        for_each(lanes, shape.panels(), |_, number| {
            let (inner, columns) = shape.nth_panel(number);
            let start = shape.index(inner.start, columns.start);
            // SAFETY: panels are disjoint, and each is filled by one thread.
            let panel = unsafe { words.part(start..start + inner.len() * shape.panel) };
            isa.run(Fill { shape, inner, columns, panel, table, transposed });
        });
        self.shape = Some(shape);
    }

    fn shape(&self) -> Shape {
        self.shape.expect("packed before it is multiplied")
    }

    /// `out = epilogue(left·self + bias)` on this thread; an empty bias means none.
    pub(super) fn multiply(&self, isa: Isa, left: Table, bias: &[f32], epilogue: Epilogue, out: &mut [f32]) {
        let shape = self.shape();
        let residual = if let Epilogue::Residual(residual) = epilogue { residual.len() } else { out.len() };
        assert!(
            left.columns == shape.inner && out.len() == left.rows * shape.columns && residual == out.len(),
            "one row of output per row of input"
        );
        assert!(bias.is_empty() || bias.len() == shape.columns, "one bias per output, or none");
        let finish =
            Complete { decode: Plain, bias: bias.as_ptr(), biased: !bias.is_empty(), width: shape.columns, epilogue };
        isa.run(Product { panels: self, left: left.left(), out: out.as_mut_ptr(), stride: shape.columns, finish });
    }

    /// `out = leftᵀ·self`, written to a part of a wider table, on this thread.
    ///
    /// # Safety
    /// No other code reads or writes `left.columns` rows of `shape.columns` values from `out` on, `stride` apart.
    pub(super) unsafe fn multiply_transposed(&self, isa: Isa, left: Table, out: *mut f32, stride: usize) {
        let shape = self.shape();
        assert!(left.rows == shape.inner, "equally many rows on both sides");
        let rows = Rows::<true> { start: left.values.as_ptr().cast(), stride: left.stride, count: left.columns };
        isa.run(Product { panels: self, left: rows, out, stride, finish: crate::kernels::gemm::Keep });
    }

    /// `out = left·self`, written to a part of a wider table, on this thread.
    ///
    /// # Safety
    /// No other code reads or writes `left.rows` rows of `shape.columns` values from `out` on, `stride` apart.
    pub(super) unsafe fn multiply_into(&self, isa: Isa, left: Table, out: *mut f32, stride: usize) {
        assert!(left.columns == self.shape().inner, "rows as long as the inner dimension");
        isa.run(Product { panels: self, left: left.left(), out, stride, finish: crate::kernels::gemm::Keep });
    }

    /// The gradient of a weight: `out = inputsᵀ·gradients`, `[in, out]`, with `gradients` packed here, on all threads.
    pub(super) fn weight_gradient<L: Send>(
        &mut self,
        isa: Isa,
        inputs: Table,
        gradients: Table,
        out: &mut [f32],
        lanes: &mut [L],
    ) {
        assert!(inputs.rows == gradients.rows && out.len() == inputs.columns * gradients.columns, "shapes fit");
        self.pack(isa, gradients, lanes);
        let (panels, stride) = (&*self, gradients.columns);
        let blocks = Blocks::new(inputs.columns, isa.tile_rows(), GRADIENT_ROWS, lanes.len());
        let out = Shared::new(out);
        for_each(lanes, blocks.count(), |_, block| {
            let columns = blocks.rows(block);
            let part = Table::within(inputs.values, 0..inputs.rows, columns.clone(), inputs.stride);
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            unsafe {
                let out = out.part(columns.start * stride..columns.end * stride);
                panels.multiply_transposed(isa, part, out.as_mut_ptr(), stride);
            }
        });
    }
}

struct Fill<'a> {
    shape: Shape,
    inner: Range<usize>,
    columns: Range<usize>,
    panel: &'a mut [f32],
    table: Table<'a>,
    transposed: bool,
}

impl<S: Simd> Kernel<S> for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        let Self { shape, inner, columns, panel, table, transposed } = self;
        // SAFETY: `u32` and `f32` have the same size and alignment, and every bit pattern is valid.
        let panel = unsafe { std::slice::from_raw_parts_mut(panel.as_mut_ptr().cast::<u32>(), panel.len()) };
        if transposed {
            fill_from_columns(shape, inner, columns, panel, &|column| table.row(column));
        } else {
            fill_from_rows(shape, inner, columns, panel, &|row| table.row(row));
        }
    }
}

struct Product<'a, E, const TRANSPOSED: bool> {
    panels: &'a Panels,
    left: Rows<TRANSPOSED>,
    out: *mut f32,
    stride: usize,
    finish: E,
}

impl<S: Simd, E: Finish<S>, const TRANSPOSED: bool> Kernel<S> for Product<'_, E, TRANSPOSED> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let Self { panels, left, out, stride, finish } = self;
        // SAFETY: the caller checked the left side and guarantees the output; the panels have the shape.
        unsafe { multiply(s, F32, left, panels.words.as_ptr(), panels.shape(), out.cast(), stride, &finish) }
    }
}
