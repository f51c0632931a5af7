//! The matrix product: rows times packed panels, accumulated in registers.
//!
//! The inner dimension of the weights is divided into blocks, and a block into panels that are two vectors wide. A panel
//! holds one 32-bit word per column for each step of the inner dimension. A word is one `f32`, two `bf16` or four `i8`, and
//! is multiplied by a broadcast word of the left side: the [`Format`]. A panel stays in the first-level cache while all
//! rows of the call are multiplied by it.
//!
//! Each element is summed over the inner dimension in one fixed order. Its bits do not depend on its tile or on other rows.

use std::ops::Range;

use super::simd::{Kernel, Simd};

/// Maximum words of the inner dimension per block: 32 KiB for a panel of AVX-512.
const MAX_BLOCK: usize = 256;

/// The arithmetic of one word.
pub(super) trait Format<S: Simd>: Copy {
    /// A vector of sums.
    type Sum: Copy;
    /// A vector of words.
    type Word: Copy;

    fn zero(s: S) -> Self::Sum;
    /// # Safety
    /// `p` is valid for reading one word.
    unsafe fn broadcast(s: S, p: *const u32) -> Self::Word;
    /// # Safety
    /// `p` is valid for reading a vector.
    unsafe fn load(s: S, p: *const u32) -> Self::Word;
    /// `sum + a·b`, word by word.
    fn dot(s: S, sum: Self::Sum, a: Self::Word, b: Self::Word) -> Self::Sum;
    /// Writes sums, added to the existing ones if `accumulate`.
    /// # Safety
    /// `p` is valid for reading and writing a vector.
    unsafe fn store(s: S, p: *mut u32, sum: Self::Sum, accumulate: bool);
}

/// Words that hold one `f32`.
#[derive(Clone, Copy)]
pub(super) struct F32;

impl<S: Simd> Format<S> for F32 {
    type Sum = S::F32;
    type Word = S::F32;

    #[inline(always)]
    fn zero(s: S) -> S::F32 {
        s.splat(0.0)
    }
    #[inline(always)]
    unsafe fn broadcast(s: S, p: *const u32) -> S::F32 {
        // SAFETY: the caller's promise.
        s.splat(unsafe { p.cast::<f32>().read() })
    }
    #[inline(always)]
    unsafe fn load(s: S, p: *const u32) -> S::F32 {
        // SAFETY: the caller's promise.
        unsafe { s.load(p.cast()) }
    }
    #[inline(always)]
    fn dot(s: S, sum: S::F32, a: S::F32, b: S::F32) -> S::F32 {
        s.fma(a, b, sum)
    }
    #[inline(always)]
    unsafe fn store(s: S, p: *mut u32, sum: S::F32, accumulate: bool) {
        let p = p.cast::<f32>();
        // SAFETY: the caller's promise.
        unsafe { s.store(p, if accumulate { s.add(s.load(p), sum) } else { sum }) }
    }
}

/// The shape of packed panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Words of the inner dimension.
    pub(super) inner: usize,
    /// Columns.
    pub(super) columns: usize,
    /// Columns per panel.
    pub(super) panel: usize,
}

impl Shape {
    /// Words of the inner dimension per block; blocks are equal except for a shorter last one.
    pub(super) fn block(self) -> usize {
        self.inner.div_ceil(self.inner.div_ceil(MAX_BLOCK).max(1)).max(1)
    }

    /// Columns including padding of the last panel.
    fn padded(self) -> usize {
        self.columns.next_multiple_of(self.panel)
    }

    /// Words in all panels.
    pub(super) fn words(self) -> usize {
        self.inner * self.padded()
    }

    /// Panels in all blocks.
    pub(super) fn panels(self) -> usize {
        self.inner.div_ceil(self.block()) * self.columns.div_ceil(self.panel)
    }

    /// The inner indices and the columns of a panel, in storage order.
    pub(super) fn nth_panel(self, number: usize) -> (Range<usize>, Range<usize>) {
        let across = self.columns.div_ceil(self.panel);
        let (first, column) = (number / across * self.block(), number % across * self.panel);
        (first..self.inner.min(first + self.block()), column..self.columns.min(column + self.panel))
    }

    /// Position of the word for an inner index and a column.
    pub(super) fn index(self, inner: usize, column: usize) -> usize {
        let block = inner / self.block() * self.block();
        let depth = self.block().min(self.inner - block);
        let panel = column / self.panel * self.panel;
        block * self.padded() + panel * depth + (inner - block) * self.panel + (column - panel)
    }
}

/// What is done with complete sums.
pub(super) trait Finish<S: Simd> {
    /// Whether anything is.
    const ANYTHING: bool = true;

    /// Rewrites `n ≤ LANES` sums of a row of the output, from a column on, in place.
    /// # Safety
    /// `place` is valid for reading and writing `n` words, and the output has the row and the columns.
    unsafe fn finish(&self, s: S, place: *mut u32, row: usize, column: usize, n: usize);
}

/// Leaves the sums as they are.
pub(super) struct Keep;

impl<S: Simd> Finish<S> for Keep {
    const ANYTHING: bool = false;

    #[inline(always)]
    unsafe fn finish(&self, _: S, _: *mut u32, _: usize, _: usize, _: usize) {}
}

/// A tile of the output.
#[derive(Clone, Copy)]
struct Tile {
    out: *mut u32,
    stride: usize,
    /// First row and first column of the tile in the output.
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
}

impl Tile {
    /// Finishes all sums. Most tiles consist of whole vectors, for which the compiler drops what is for parts of one.
    /// # Safety
    /// The tile is valid for reading and writing `rows` runs of `columns` words, `stride` words apart.
    #[inline(always)]
    unsafe fn finish<S: Simd, E: Finish<S>>(self, s: S, finish: &E) {
        if !E::ANYTHING {
            return;
        }
        let whole = self.columns - self.columns % S::LANES;
        for row in 0..self.rows {
            // SAFETY: the caller's promise.
            unsafe {
                let out = self.out.add(row * self.stride);
                for at in (0..whole).step_by(S::LANES) {
                    finish.finish(s, out.add(at), self.row + row, self.column + at, S::LANES);
                }
                if whole < self.columns {
                    finish.finish(s, out.add(whole), self.row + row, self.column + whole, self.columns - whole);
                }
            }
        }
    }
}

/// The left side: rows of words, `stride` words apart; or, `TRANSPOSED`, the columns of such rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<const TRANSPOSED: bool = false> {
    pub(super) start: *const u32,
    pub(super) stride: usize,
    pub(super) count: usize,
}

impl<const TRANSPOSED: bool> Rows<TRANSPOSED> {
    /// Position of the word for a row and an inner index.
    #[inline(always)]
    fn index(stride: usize, row: usize, inner: usize) -> usize {
        if TRANSPOSED { inner * stride + row } else { row * stride + inner }
    }
}

/// Multiplies rows by panels: `out[i, j] = finish(Σₖ rows[i, k]·panels[k, j])`.
///
/// # Safety
/// `rows` is valid for reading `count` rows of `shape.inner` words; `panels` for `shape.words()` words; `out` for
/// reading and writing `rows.count` runs of `shape.columns` words, `stride` apart, and overlaps neither.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // pointers and shapes of three matrices
pub(super) unsafe fn multiply<S: Simd, D: Format<S>, E: Finish<S>, const TRANSPOSED: bool>(
    s: S,
    _format: D,
    rows: Rows<TRANSPOSED>,
    panels: *const u32,
    shape: Shape,
    out: *mut u32,
    stride: usize,
    finish: &E,
) {
    debug_assert_eq!(shape.panel, 2 * S::LANES);
    let block = shape.block();
    for k in (0..shape.inner).step_by(block) {
        let steps = block.min(shape.inner - k);
        for column in (0..shape.columns).step_by(shape.panel) {
            let columns = shape.panel.min(shape.columns - column);
            let tiles = rows.count.div_ceil(S::TILE_ROWS);
            let (mut row, mut tile_number) = (0, 0);
            while row < rows.count {
                let count = next_rows::<S>(rows.count - row);
                // SAFETY: row, column and k are in range, so all three stay inside what the caller vouches for.
                unsafe {
                    let out = out.add(row * stride + column);
                    let tile = Tile { out, stride, row, column, rows: count, columns };
                    let a = rows.start.add(Rows::<TRANSPOSED>::index(rows.stride, row, k));
                    let b = panels.add(shape.index(k, column));
                    // Each tile prefetches its share of the next panel, a piece per step.
                    let ahead_step = shape.panel.div_ceil(tiles);
                    let ahead = b.wrapping_add(steps * (shape.panel + tile_number * ahead_step));
                    let a_stride = rows.stride;
                    let accumulate = k > 0;
                    let product = Product { a, a_stride, b, ahead, ahead_step, steps, out, stride, accumulate };
                    if columns == shape.panel {
                        product.run::<S, D, TRANSPOSED>(s, count);
                    } else {
                        product.run_partial::<S, D, TRANSPOSED>(s, tile);
                    }
                    if k + steps == shape.inner {
                        tile.finish(s, finish);
                    }
                }
                row += count;
                tile_number += 1;
            }
        }
    }
}

/// Rows of the next tile, so that the tiles of a call have nearly equal heights.
#[inline(always)]
fn next_rows<S: Simd>(left: usize) -> usize {
    left.div_ceil(left.div_ceil(S::TILE_ROWS))
}

/// One tile of the product over one block of the inner dimension.
#[derive(Clone, Copy)]
struct Product {
    a: *const u32,
    a_stride: usize,
    b: *const u32,
    /// What to prefetch into the second-level cache, and how many words further per step; it need not exist.
    ahead: *const u32,
    ahead_step: usize,
    steps: usize,
    out: *mut u32,
    stride: usize,
    accumulate: bool,
}

/// The height of the tallest tile of any instruction set, and the width of the widest.
const MAX_TILE: (usize, usize) = (12, 32);

impl Product {
    /// A tile of full width.
    /// # Safety
    /// The pointers are valid for `rows` rows, `steps` words and a panel's columns.
    #[inline(always)]
    unsafe fn run<S: Simd, D: Format<S>, const TRANSPOSED: bool>(self, s: S, rows: usize) {
        macro_rules! of_height {
            ($($n:literal)*) => {
                match rows {
                    // No instruction set uses more than its `TILE_ROWS`, so taller tiles are not compiled for it.
                    $($n if $n <= S::TILE_ROWS => s.call(RowTile::<D, $n, TRANSPOSED>(self, std::marker::PhantomData)),)*
                    _ => debug_assert!(false, "no tile of {rows} rows"),
                }
            };
        }
        of_height!(1 2 3 4 5 6 7 8 9 10 11 12);
    }

    /// A tile at the right edge, computed at full width outside the output.
    /// # Safety
    /// As [`run`](Self::run), with `tile.columns` columns of output.
    #[inline(always)]
    unsafe fn run_partial<S: Simd, D: Format<S>, const TRANSPOSED: bool>(self, s: S, tile: Tile) {
        let mut full = [0; MAX_TILE.0 * MAX_TILE.1];
        let width = 2 * S::LANES;
        // SAFETY: `full` holds the tallest and widest tile; the output holds `tile.columns` words of each row.
        unsafe {
            for row in 0..tile.rows {
                let from = tile.out.add(row * tile.stride);
                std::ptr::copy_nonoverlapping(from, full.as_mut_ptr().add(row * width), tile.columns);
            }
            Self { out: full.as_mut_ptr(), stride: width, ..self }.run::<S, D, TRANSPOSED>(s, tile.rows);
            for row in 0..tile.rows {
                let to = tile.out.add(row * tile.stride);
                std::ptr::copy_nonoverlapping(full.as_ptr().add(row * width), to, tile.columns);
            }
        }
    }
}

/// The register tile: `ROWS` rows by two vectors.
struct RowTile<D, const ROWS: usize, const TRANSPOSED: bool>(Product, std::marker::PhantomData<D>);

impl<S: Simd, D: Format<S>, const ROWS: usize, const TRANSPOSED: bool> Kernel<S> for RowTile<D, ROWS, TRANSPOSED> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let Product { mut a, a_stride, mut b, mut ahead, ahead_step, steps, out, stride, accumulate } = self.0;
        let mut sums = [[D::zero(s); 2]; ROWS];
        // SAFETY: whoever made the product vouches for `ROWS` rows of `steps` words, as many steps of the panel, and
        // `ROWS` rows of two vectors of output.
        unsafe {
            for _ in 0..steps {
                let (b0, b1) = (D::load(s, b), D::load(s, b.add(S::LANES)));
                b = b.add(2 * S::LANES);
                s.prefetch(ahead.cast());
                ahead = ahead.wrapping_add(ahead_step);
                for (row, sum) in sums.iter_mut().enumerate() {
                    let a = D::broadcast(s, a.add(Rows::<TRANSPOSED>::index(a_stride, row, 0)));
                    sum[0] = D::dot(s, sum[0], a, b0);
                    sum[1] = D::dot(s, sum[1], a, b1);
                }
                a = a.wrapping_add(Rows::<TRANSPOSED>::index(a_stride, 0, 1));
            }
            for (row, sum) in sums.into_iter().enumerate() {
                D::store(s, out.add(row * stride), sum[0], accumulate);
                D::store(s, out.add(row * stride + S::LANES), sum[1], accumulate);
            }
        }
    }
}
