//! 8-bit linear arithmetic: weights are quantized once per output, activations per row at run time.
//!
//! A weight is `scale·q` with `q` in −127..=127 and `scale = max|w| / 127` of its output; an activation is `scale·(u −
//! 128)` with `u` in 1..=255 and the row's own scale. Products of `u` and `q` are summed exactly in 32 bits, `128·Σq` is
//! subtracted, and the result is scaled and added to the bias. Every instruction set rounds in the same way: before an
//! activation function, results have the same bits everywhere.
//!
//! Apart from rounding, the error of an output is at most `max|w|/254·Σ|x| + max|x|/254·Σ|w|`, plus the product of the two
//! half steps per input.

use super::buffer::{Buffer, Converted};
use super::epilogue::Decode;
use super::error::KernelError;
use super::gemm::{Format, Shape};
use super::pack::Matrix;
use super::simd::{Kernel, Simd};

/// Values per word.
const GROUP: usize = 4;
/// More could overflow 32 bits: 65 536 · 255 · 127 < 2³¹.
const MAX_INPUTS: usize = 1 << 16;
/// The unsigned byte for 0.
const ZERO: f32 = 128.0;

/// What dequantization needs to know about the weights.
#[derive(Clone)]
pub(super) struct Int8 {
    /// The scale of each output's weights.
    scales: Vec<f32>,
    /// `−128·Σq` of each output, as bits.
    offsets: Vec<u32>,
}

impl Int8 {
    /// Quantizes and packs weights.
    pub(super) fn pack(weights: Matrix, panel: usize) -> Result<(Shape, Buffer, Self), KernelError> {
        if weights.inputs > MAX_INPUTS {
            let why = "sums of 8-bit products would overflow 32 bits; use another precision";
            return Err(KernelError::Size { what: "inputs of a linear layer", value: weights.inputs, why });
        }
        let shape = Shape { inner: weights.inputs.div_ceil(GROUP), columns: weights.outputs, panel };
        let mut panels = Buffer::default();
        let words = panels.words(shape.words());
        let (mut scales, mut offsets) = (Vec::new(), Vec::new());
        weights.each_panel(shape, GROUP, |outputs, rows| {
            let mut of_panel = vec![0.0f32; panel];
            for row in rows.chunks_exact(panel) {
                of_panel.iter_mut().zip(row).for_each(|(scale, weight)| *scale = scale.max(weight.abs()));
            }
            of_panel.iter_mut().for_each(|scale| *scale /= 127.0);
            let mut sums = vec![0i32; panel];
            for (word, group) in rows.chunks_exact(GROUP * panel).enumerate() {
                let places = &mut words[shape.index(word, outputs.start)..][..panel];
                places.fill(0);
                for (byte, row) in group.chunks_exact(panel).enumerate() {
                    for (((place, sum), weight), scale) in places.iter_mut().zip(&mut sums).zip(row).zip(&of_panel) {
                        // An output of zeros has a scale of zero.
                        let quantised = if *scale > 0.0 { rounded(weight / scale) as i32 } else { 0 };
                        *sum += quantised;
                        *place |= (quantised.cast_unsigned() & 0xff) << (8 * byte);
                    }
                }
            }
            scales.extend_from_slice(&of_panel[..outputs.len()]);
            offsets.extend(sums[..outputs.len()].iter().map(|sum| (sum * -(ZERO as i32)).cast_unsigned()));
        });
        Ok((shape, panels, Self { scales, offsets }))
    }
}

/// The nearest integer, ties to even, for |x| < 2²². (`round_ties_even` calls a function on processors of the compilation
/// target.)
fn rounded(x: f32) -> f32 {
    const SHIFT: f32 = 1.5 * (1 << 23) as f32;
    (x + SHIFT) - SHIFT
}

/// Words of four bytes, unsigned on the left and signed on the right.
#[derive(Clone, Copy)]
pub(super) struct Bytes;

impl<S: Simd> Format<S> for Bytes {
    type Sum = S::I32;
    type Word = S::I32;

    #[inline(always)]
    fn zero(s: S) -> S::I32 {
        s.splat_word(0)
    }
    #[inline(always)]
    unsafe fn broadcast(s: S, p: *const u32) -> S::I32 {
        // SAFETY: the caller's promise.
        s.splat_word(unsafe { p.read() })
    }
    #[inline(always)]
    unsafe fn load(s: S, p: *const u32) -> S::I32 {
        // SAFETY: the caller's promise.
        unsafe { s.load_words(p) }
    }
    #[inline(always)]
    fn dot(s: S, sum: S::I32, a: S::I32, b: S::I32) -> S::I32 {
        s.dot_bytes(sum, a, b)
    }
    #[inline(always)]
    unsafe fn store(s: S, p: *mut u32, sum: S::I32, accumulate: bool) {
        // SAFETY: the caller's promise.
        unsafe { s.store_words(p, if accumulate { s.add_words(s.load_words(p), sum) } else { sum }) }
    }
}

/// Quantizes rows of `inputs` values into words and one scale per row.
pub(super) struct Quantise<'a> {
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    pub(super) converted: &'a mut Converted,
}

impl<S: Simd> Kernel<S> for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let Self { x, inputs, converted } = self;
        let words = inputs.div_ceil(GROUP);
        let rows = x.len() / inputs;
        let target = converted.words.words(rows * words);
        converted.scales.resize(rows, 0.0);
        for ((row, target), scale) in
            x.chunks_exact(inputs).zip(target.chunks_exact_mut(words)).zip(&mut converted.scales)
        {
            // SAFETY: a row holds `inputs` values and its target at least as many bytes.
            *scale = unsafe { quantise_row(s, row, target.as_mut_ptr().cast()) };
        }
    }
}

/// Quantizes one row and returns its scale.
/// # Safety
/// `out` is valid for writing `row.len()` bytes.
#[inline(always)]
unsafe fn quantise_row<S: Simd>(s: S, row: &[f32], out: *mut u8) -> f32 {
    let (start, whole) = (row.as_ptr(), row.len() / S::LANES * S::LANES);
    let rest = row.len() - whole;
    // SAFETY: `whole + rest` is the length of the row, and `out` is as long; the rest goes through memory of a vector's length.
    unsafe {
        // Two maxima, so that one need not wait for the other.
        let mut largest = [s.abs(s.load_up_to(start.add(whole), rest)), s.splat(0.0)];
        for at in (0..whole).step_by(S::LANES) {
            largest = [largest[1], s.max(largest[0], s.abs(s.load(start.add(at))))];
        }
        let largest = s.largest(s.max(largest[0], largest[1]));
        let inverse = s.splat(if largest > 0.0 { 127.0 / largest } else { 0.0 });
        let unsigned = |v: S::F32| s.add(s.round(s.mul(v, inverse)), s.splat(ZERO));
        for at in (0..whole).step_by(S::LANES) {
            s.store_bytes(out.add(at), unsigned(s.load(start.add(at))));
        }
        if rest > 0 {
            let mut bytes = [0; 16];
            s.store_bytes(bytes.as_mut_ptr(), unsigned(s.load_up_to(start.add(whole), rest)));
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.add(whole), rest);
        }
        largest / 127.0
    }
}

/// Dequantizes sums of products.
pub(super) struct Dequantise<'a> {
    pub(super) weights: &'a Int8,
    /// The scale of each row.
    pub(super) rows: &'a [f32],
}

impl<S: Simd> Decode<S> for Dequantise<'_> {
    #[inline(always)]
    unsafe fn decode(&self, s: S, sums: S::F32, row: usize, column: usize, n: usize) -> S::F32 {
        // SAFETY: scales and offsets are as wide as the output, of which `n` columns from `column` on exist.
        unsafe {
            let offsets = s.load_up_to(self.weights.offsets.as_ptr().add(column).cast(), n);
            let scales = s.load_up_to(self.weights.scales.as_ptr().add(column), n);
            let sum = s.add_words(s.to_words(sums), s.to_words(offsets));
            s.mul(s.words_to_f32(sum), s.mul(s.splat(self.rows[row]), scales))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::{Keep, Rows, multiply};
    use crate::kernels::testing::{dot, floats};
    use crate::kernels::{Epilogue, Isa, Layout, LinearWeights, PackedLinear, Precision, Scratch};
    use proptest::prelude::*;

    /// Multiplies quantized rows and keeps the sums.
    struct Sums<'a> {
        rows: &'a Converted,
        count: usize,
        shape: Shape,
        panels: &'a Buffer,
        out: &'a mut [u32],
    }

    impl<S: Simd> Kernel<S> for Sums<'_> {
        type Output = ();
        #[inline(always)]
        fn run(self, s: S) {
            let Self { rows, count, shape, panels, out } = self;
            let rows: Rows = Rows { start: rows.words.as_ptr(), stride: shape.inner, count };
            // SAFETY: the test gives `count` rows and an output of `count × columns`.
            unsafe { multiply(s, Bytes, rows, panels.as_ptr(), shape, out.as_mut_ptr(), shape.columns, &Keep) }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_instruction_set_sums_the_same_integers(
            count in 1usize..30, inputs in 1usize..2500, outputs in 1usize..70, extreme: bool, seed: u64,
        ) {
            // Extreme values, where narrow sums would saturate.
            let values = |seed, n| floats(seed, n).iter().map(|x| if extreme { x.signum() } else { *x }).collect::<Vec<_>>();
            let (x, w) = (values(seed, count * inputs), values(seed ^ 1, inputs * outputs));
            let mut first: Option<Vec<u32>> = None;
            for isa in Isa::available() {
                let weights = Matrix { values: &w, layout: Layout::OutIn, inputs, outputs };
                let (shape, mut panels, _) = Int8::pack(weights, isa.panel_columns()).expect("fits");
                let mut rows = Converted::default();
                isa.run_bytes(Quantise { x: &x, inputs, converted: &mut rows });
                let mut out = vec![0; count * outputs];
                isa.run_bytes(Sums { rows: &rows, count, shape, panels: &panels, out: &mut out });

                let (rows, panels) = (rows.words.words(count * shape.inner), panels.words(shape.words()));
                for (at, sum) in out.iter().enumerate() {
                    let row = &rows[at / outputs * shape.inner..][..shape.inner];
                    let expected: i64 = row.iter().enumerate().map(|(word, a)| {
                        let b = panels[shape.index(word, at % outputs)].to_le_bytes();
                        a.to_le_bytes().into_iter().zip(b).map(|(a, b)| i64::from(a) * i64::from(b.cast_signed())).sum::<i64>()
                    }).sum();
                    prop_assert_eq!(i64::from(sum.cast_signed()), expected, "{:?}", isa);
                }
                prop_assert_eq!(first.get_or_insert_with(|| out.clone()), &out, "{:?}", isa);
            }
        }

        #[test]
        fn results_stay_within_the_stated_bound_and_have_the_same_bits_everywhere(
            rows in 1usize..20, inputs in 1usize..600, outputs in 1usize..70, seed: u64,
        ) {
            let (x, w, bias) = (floats(seed, rows * inputs), floats(seed ^ 1, inputs * outputs), floats(seed ^ 2, outputs));
            let weights = LinearWeights { weight: &w, layout: Layout::OutIn, bias: &bias, inputs };
            let mut first: Option<Vec<f32>> = None;
            for isa in Isa::available() {
                let linear = PackedLinear::new(isa, Precision::Int8, &weights).expect("shapes fit");
                let mut out = vec![f32::NAN; rows * outputs];
                linear.forward(&x, Epilogue::Bias, &mut out, &mut Scratch::new()).expect("shapes fit");
                for (at, y) in out.iter().enumerate() {
                    let (row, output) = (&x[at / outputs * inputs..][..inputs], at % outputs);
                    let of = &w[output * inputs..][..inputs];
                    let largest = |values: &[f32]| values.iter().fold(0.0, |l, x| f64::max(l, f64::from(x.abs())));
                    let total = |values: &[f32]| values.iter().map(|x| f64::from(x.abs())).sum::<f64>();
                    let (lx, lw) = (largest(row), largest(of));
                    let bound = lw / 254.0 * total(row) + lx / 254.0 * total(of) + inputs as f64 * lx * lw / 254.0 / 254.0;
                    let (sum, size) = dot(row, &weights, output);
                    prop_assert!((f64::from(*y) - sum).abs() <= bound + 1e-6 * size, "{:?}: {} {}", isa, y, sum);
                }
                prop_assert_eq!(first.get_or_insert_with(|| out.clone()), &out, "{:?}", isa);
            }
        }
    }

    #[test]
    fn rows_and_weights_of_zeros_give_the_bias() {
        for isa in Isa::available() {
            let weights =
                LinearWeights { weight: &[0.0, 0.0, 0.0, 1.0], layout: Layout::InOut, bias: &[0.5, 1.5], inputs: 2 };
            let linear = PackedLinear::new(isa, Precision::Int8, &weights).expect("shapes fit");
            let mut out = [0.0; 4];
            linear.forward(&[0.0, 0.0, 3.0, 0.0], Epilogue::Bias, &mut out, &mut Scratch::new()).expect("shapes fit");
            assert_eq!(out, [0.5, 1.5, 0.5, 1.5]);
        }
    }
}
