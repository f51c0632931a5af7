//! `x·W + b`, fused with what follows it.

#[cfg(target_arch = "x86_64")]
use super::bf16::{Pairs, Round, pack_bf16};
use super::buffer::{Buffer, Converted};
use super::epilogue::{Complete, Decode, Epilogue, Plain};
use super::error::{KernelError, check_len};
use super::gemm::{F32, Format, Rows, Shape, multiply};
use super::int8::{Bytes, Dequantise, Int8, Quantise};
use super::isa::Isa;
use super::pack::{Layout, Matrix, pack_columns, pack_rows};
use super::parallel::{Blocks, Shared, for_each};
use super::precision::Precision;
use super::scratch::Scratch;
use super::simd::{Kernel, Simd};

/// Rows per unit of work.
const ROWS: usize = 96;

/// The weights of a linear layer.
#[derive(Clone, Copy, Debug)]
pub struct LinearWeights<'a> {
    /// `inputs × outputs` weights.
    pub weight: &'a [f32],
    /// The layout of `weight`.
    pub layout: Layout,
    /// One value per output.
    pub bias: &'a [f32],
    /// Length of an input row.
    pub inputs: usize,
}

/// A linear layer packed for one instruction set.
#[derive(Clone)]
pub struct PackedLinear {
    isa: Isa,
    inputs: usize,
    arithmetic: Arithmetic,
    shape: Shape,
    panels: Buffer,
    bias: Vec<f32>,
}

/// The contents of panels, and how to decode sums of their products.
#[derive(Clone)]
enum Arithmetic {
    F32,
    #[cfg(target_arch = "x86_64")]
    Bf16,
    Int8(Int8),
}

impl PackedLinear {
    /// Packs a layer.
    ///
    /// # Errors
    /// If a size is zero, `weight` is not `inputs × outputs` long, or the processor lacks the precision.
    pub fn new(isa: Isa, precision: Precision, weights: &LinearWeights) -> Result<Self, KernelError> {
        let &LinearWeights { weight: values, layout, bias, inputs } = weights;
        let outputs = bias.len();
        for (what, value) in [("inputs of a linear layer", inputs), ("outputs of a linear layer", outputs)] {
            if value == 0 {
                return Err(KernelError::Size { what, value, why: "must be positive" });
            }
        }
        check_len("weight of a linear layer", inputs * outputs, values.len())?;
        let matrix = Matrix { values, layout, inputs, outputs };
        let panel = isa.panel_columns();
        let (shape, panels, arithmetic) = match precision {
            Precision::F32 => {
                let shape = Shape { inner: inputs, columns: outputs, panel };
                let mut panels = Buffer::default();
                // New words are zero, including padding columns of the last panel.
                let words = panels.words(shape.words());
                match layout {
                    Layout::OutIn => pack_columns(shape, words, |output| &values[output * inputs..][..inputs]),
                    Layout::InOut => pack_rows(shape, words, |input| &values[input * outputs..][..outputs]),
                }
                (shape, panels, Arithmetic::F32)
            }
            #[cfg(target_arch = "x86_64")]
            Precision::Bf16 if isa.has_bf16_dot() => {
                let (shape, panels) = pack_bf16(matrix, panel);
                (shape, panels, Arithmetic::Bf16)
            }
            Precision::Bf16 => {
                return Err(KernelError::Unsupported { precision: "bf16", needs: "AVX512_BF16" });
            }
            Precision::Int8 => {
                let (shape, panels, scales) = Int8::pack(matrix, panel)?;
                (shape, panels, Arithmetic::Int8(scales))
            }
        };
        Ok(Self { isa, inputs, arithmetic, shape, panels, bias: bias.to_vec() })
    }

    /// Length of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Length of an output row.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Computes `out = epilogue(x·W + b)` for `x` of `[T, in]` and `out` of `[T, out]`, on all threads of the current
    /// pool.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn forward(
        &self,
        x: &[f32],
        epilogue: Epilogue,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let rows = x.len() / self.inputs;
        check_len("input of a linear layer", rows * self.inputs, x.len())?;
        check_len("output of a linear layer", rows * self.outputs(), out.len())?;
        if let Epilogue::Residual(residual) = epilogue {
            check_len("residual of a linear layer", out.len(), residual.len())?;
        }
        let lanes = scratch.lanes();
        let blocks = Blocks::new(rows, self.isa.tile_rows(), ROWS, lanes.len());
        let out = Shared::new(out);
        for_each(lanes, blocks.count(), |lane, block| {
            let rows = blocks.rows(block);
            let outputs = rows.start * self.outputs()..rows.end * self.outputs();
            let epilogue = match epilogue {
                Epilogue::Residual(residual) => Epilogue::Residual(&residual[outputs.clone()]),
                other => other,
            };
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            let out = unsafe { out.part(outputs) };
            self.rows(&x[rows.start * self.inputs..rows.end * self.inputs], epilogue, out, &mut lane.converted);
        });
        Ok(())
    }

    /// The same on this thread.
    pub(super) fn rows(&self, x: &[f32], epilogue: Epilogue, out: &mut [f32], converted: &mut Converted) {
        let count = x.len() / self.inputs;
        assert!(
            x.len() == count * self.inputs && out.len() == count * self.outputs(),
            "whole rows of input and output"
        );
        if let Epilogue::Residual(residual) = epilogue {
            assert!(residual.len() == out.len(), "one residual per output");
        }
        match &self.arithmetic {
            Arithmetic::F32 => {
                let rows = Rows { start: x.as_ptr().cast(), stride: self.inputs, count };
                self.isa.run(Forward { linear: self, rows, format: F32, decode: Plain, epilogue, out });
            }
            #[cfg(target_arch = "x86_64")]
            Arithmetic::Bf16 => {
                let rounded = self.isa.run_bf16(Round { x, inputs: self.inputs, converted });
                let rows = Rows { start: converted.words.as_ptr(), stride: self.shape.inner, count };
                let forward = Forward { linear: self, rows, format: Pairs, decode: Plain, epilogue, out };
                rounded.and_then(|()| self.isa.run_bf16(forward)).expect("only packed if the processor supports it");
            }
            Arithmetic::Int8(weights) => {
                self.isa.run_bytes(Quantise { x, inputs: self.inputs, converted });
                let rows = Rows { start: converted.words.as_ptr(), stride: self.shape.inner, count };
                let decode = Dequantise { weights, rows: &converted.scales };
                self.isa.run_bytes(Forward { linear: self, rows, format: Bytes, decode, epilogue, out });
            }
        }
    }
}

/// The product of checked and converted rows.
struct Forward<'a, D, E> {
    linear: &'a PackedLinear,
    /// Rows of `shape.inner` words in the panels' format.
    rows: Rows,
    format: D,
    decode: E,
    epilogue: Epilogue<'a>,
    /// As many rows of outputs.
    out: &'a mut [f32],
}

impl<S: Simd, D: Format<S>, E: Decode<S>> Kernel<S> for Forward<'_, D, E> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let Self { linear, rows, format, decode, epilogue, out } = self;
        let bias = linear.bias.as_ptr();
        let finish = Complete { decode, bias, biased: true, width: linear.outputs(), epilogue };
        // SAFETY: `PackedLinear::rows` checked input and output, and `join` packed the panels in this shape.
        unsafe {
            let (out, stride) = (out.as_mut_ptr().cast(), linear.outputs());
            multiply(s, format, rows, linear.panels.as_ptr(), linear.shape, out, stride, &finish);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Activation;
    use crate::kernels::testing::{activate, dot, floats, on_threads};
    use proptest::prelude::*;

    fn epilogues<'a>(residual: &'a [f32]) -> [Epilogue<'a>; 6] {
        [
            Epilogue::Bias,
            Epilogue::Activation(Activation::Gelu),
            Epilogue::Activation(Activation::GeluTanh),
            Epilogue::Activation(Activation::Relu),
            Epilogue::Activation(Activation::Tanh),
            Epilogue::Residual(residual),
        ]
    }

    fn expected(sum: f64, epilogue: Epilogue, at: usize) -> f64 {
        match epilogue {
            Epilogue::Bias => sum,
            Epilogue::Activation(activation) => activate(activation, sum),
            Epilogue::Residual(residual) => sum + f64::from(residual[at]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_level_and_epilogue_computes_the_plain_product(
            rows in 0usize..40, inputs in 1usize..600, outputs in 1usize..100, in_out: bool, seed: u64,
        ) {
            let (x, weight) = (floats(seed, rows * inputs), floats(seed ^ 1, inputs * outputs));
            let (bias, residual) = (floats(seed ^ 2, outputs), floats(seed ^ 3, rows * outputs));
            let layout = if in_out { Layout::InOut } else { Layout::OutIn };
            let weights = LinearWeights { weight: &weight, layout, bias: &bias, inputs };
            let mut scratch = Scratch::new();
            for isa in Isa::available() {
                let linear = PackedLinear::new(isa, Precision::F32, &weights).expect("shapes fit");
                for epilogue in epilogues(&residual) {
                    let mut out = vec![f32::NAN; rows * outputs];
                    linear.forward(&x, epilogue, &mut out, &mut scratch).expect("shapes fit");
                    for (at, y) in out.iter().enumerate() {
                        let row = at / outputs;
                        let (sum, size) = dot(&x[row * inputs..][..inputs], &weights, at % outputs);
                        let error = (f64::from(*y) - expected(sum, epilogue, at)).abs();
                        prop_assert!(error <= 1e-5 * size, "{:?} {:?} at {}: {:e} of {:e}", isa, epilogue, at, error, size);
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_alone_or_in_a_batch_and_on_any_number_of_threads() {
        let (rows, inputs, outputs) = (301, 530, 70);
        let (x, w, bias) = (floats(1, rows * inputs), floats(2, inputs * outputs), floats(3, outputs));
        let weights = LinearWeights { weight: &w, layout: Layout::OutIn, bias: &bias, inputs };
        for isa in Isa::available() {
            let linear = PackedLinear::new(isa, Precision::F32, &weights).expect("shapes fit");
            let run = |x: &[f32]| {
                let mut out = vec![0.0; x.len() / inputs * outputs];
                let epilogue = Epilogue::Activation(Activation::Gelu);
                linear.forward(x, epilogue, &mut out, &mut Scratch::new()).expect("shapes fit");
                out
            };
            let all = on_threads(1, || run(&x));
            assert_eq!(all, on_threads(3, || run(&x)));
            for row in [0, 1, 150, 300] {
                let alone = run(&x[row * inputs..][..inputs]);
                assert_eq!(alone, all[row * outputs..][..outputs], "{isa:?}, row {row}");
            }
        }
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let isa = Isa::detect();
        let weights = LinearWeights { weight: &[0.0; 5], layout: Layout::OutIn, bias: &[0.0; 2], inputs: 3 };
        assert!(matches!(
            PackedLinear::new(isa, Precision::F32, &weights).map(|_| ()),
            Err(KernelError::Length { expected: 6, found: 5, .. })
        ));
        let linear = PackedLinear::new(isa, Precision::F32, &LinearWeights { weight: &[0.0; 6], ..weights })
            .expect("shapes fit");
        let run = |x: &[f32], out: &mut [f32]| linear.forward(x, Epilogue::Bias, out, &mut Scratch::new());
        assert!(run(&[0.0; 6], &mut [0.0; 4]).is_ok());
        assert!(run(&[0.0; 7], &mut [0.0; 4]).is_err());
        assert!(run(&[0.0; 6], &mut [0.0; 5]).is_err());
    }
}
