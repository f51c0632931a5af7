//! A BERT encoder (LayerNorm after each residual sum), packed once and run on packed sequences.
//!
//! ```text
//! hidden ─► q,k,v ─► attention ─► output + hidden ─► norm ─► up ─► activation ─► down + residual ─► norm ─► hidden
//!          └ rows ┘ └ sequence, head ┘ └──────────────────────── blocks of rows ────────────────────────┘
//! ```
//!
//! Everything after the attention works on one block of rows at a time, small enough that its feed-forward activations stay
//! in the thread's second-level cache.

use std::borrow::Cow;

use rayon::prelude::*;

use super::attention::{Attention, DistanceBias, HeadRows, Heads, check_boundaries};
use super::epilogue::Epilogue;
use super::error::{KernelError, check_len};
use super::isa::Isa;
use super::linear::{LinearWeights, PackedLinear};
use super::math::Activation;
use super::norm::LayerNorm;
use super::parallel::{Blocks, Shared, for_each};
use super::precision::Precision;
use super::scratch::{Lane, Scratch};

/// Values that a block of rows may keep in cache: about 1 MiB of a second-level cache.
const BLOCK_VALUES: usize = 1 << 18;

/// Settings of all layers of an encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Attention heads; a divisor of the hidden size.
    pub heads: usize,
    /// The nonlinearity of the feed-forward block.
    pub activation: Activation,
    /// ε of both layer norms.
    pub layer_norm_epsilon: f32,
    /// The arithmetic of linear layers and attention.
    pub precision: Precision,
}

/// Scale and shift of a layer norm.
#[derive(Clone, Copy, Debug)]
pub struct NormWeights<'a> {
    /// γ.
    pub gamma: &'a [f32],
    /// β.
    pub beta: &'a [f32],
}

/// The weights of a layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerWeights<'a> {
    /// `hidden → 3·hidden`: queries, keys and values side by side.
    pub query_key_value: LinearWeights<'a>,
    /// `hidden → hidden`, after the attention.
    pub attention_output: LinearWeights<'a>,
    /// After the attention's residual sum.
    pub attention_norm: NormWeights<'a>,
    /// `hidden → intermediate`.
    pub up: LinearWeights<'a>,
    /// `intermediate → hidden`.
    pub down: LinearWeights<'a>,
    /// After the feed-forward block's residual sum.
    pub output_norm: NormWeights<'a>,
}

/// One layer, packed.
#[derive(Clone)]
pub struct EncoderLayer {
    isa: Isa,
    precision: Precision,
    heads: Heads,
    activation: Activation,
    qkv: PackedLinear,
    attention_output: PackedLinear,
    attention_norm: LayerNorm,
    up: PackedLinear,
    down: PackedLinear,
    output_norm: LayerNorm,
}

impl EncoderLayer {
    /// Packs a layer.
    ///
    /// # Errors
    /// If the shapes are inconsistent.
    pub fn new(isa: Isa, config: &EncoderConfig, weights: &LayerWeights) -> Result<Self, KernelError> {
        let norm = |norm: &NormWeights| LayerNorm::new(isa, norm.gamma, norm.beta, config.layer_norm_epsilon);
        let layer = Self {
            isa,
            precision: config.precision,
            heads: Heads { count: config.heads, size: weights.query_key_value.inputs / config.heads.max(1) },
            activation: config.activation.for_precision(config.precision),
            qkv: PackedLinear::new(isa, config.precision, &weights.query_key_value)?,
            attention_output: PackedLinear::new(isa, config.precision, &weights.attention_output)?,
            attention_norm: norm(&weights.attention_norm)?,
            up: PackedLinear::new(isa, config.precision, &weights.up)?,
            down: PackedLinear::new(isa, config.precision, &weights.down)?,
            output_norm: norm(&weights.output_norm)?,
        };
        layer.check()?;
        Ok(layer)
    }

    /// Checks that the output of each part fits the input of the next.
    fn check(&self) -> Result<(), KernelError> {
        let hidden = self.hidden();
        if self.heads.count * self.heads.size != hidden {
            let why = "must be a divisor of the hidden size";
            return Err(KernelError::Size { what: "attention heads", value: self.heads.count, why });
        }
        check_len("queries, keys and values of a layer", 3 * hidden, self.qkv.outputs())?;
        check_len("inputs of the attention output", hidden, self.attention_output.inputs())?;
        check_len("outputs of the attention output", hidden, self.attention_output.outputs())?;
        check_len("norm after the attention", hidden, self.attention_norm.hidden())?;
        check_len("inputs of the feed-forward block", hidden, self.up.inputs())?;
        check_len("inner size of the feed-forward block", self.up.outputs(), self.down.inputs())?;
        check_len("outputs of the feed-forward block", hidden, self.down.outputs())?;
        check_len("norm after the feed-forward block", hidden, self.output_norm.hidden())
    }

    /// Values per row.
    pub fn hidden(&self) -> usize {
        self.qkv.inputs()
    }

    /// Replaces `hidden` (`[T, hidden]`) by the layer's output, on all threads of the current pool.
    ///
    /// Sequence `i` is the rows `boundaries[i]..boundaries[i + 1]`. Each row depends only on its own sequence, so its bits do
    /// not depend on the rest of the micro-batch or the number of threads.
    ///
    /// # Errors
    /// If `hidden` is not a whole number of rows, or the boundaries do not increase from 0 to `T`.
    pub fn forward(&self, hidden: &mut [f32], boundaries: &[u32], scratch: &mut Scratch) -> Result<(), KernelError> {
        self.forward_some(hidden, boundaries, None, None, scratch)
    }

    /// As [`forward`](Self::forward), with a bias of the attention, but only of `rows`, in ascending order: the output of row
    /// `rows[i]` becomes row `i` of `hidden`. The others serve as keys and values only. The bits are the same.
    fn forward_some(
        &self,
        hidden: &mut [f32],
        boundaries: &[u32],
        bias: Option<DistanceBias>,
        rows: Option<&[u32]>,
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let width = self.hidden();
        let tokens = hidden.len() / width;
        check_len("hidden states", tokens * width, hidden.len())?;
        check_boundaries(boundaries, tokens)?;
        bias.map_or(Ok(()), |bias| bias.check(boundaries))?;
        let (qkv, context, lanes) = scratch.split();
        let qkv = qkv.floats(tokens * 3 * width);
        self.project(hidden, Shared::new(qkv), self.blocks(tokens, lanes.len()), lanes);
        let queries = match rows {
            None => Cow::Borrowed(boundaries),
            Some(rows) => {
                let queries = boundaries_of(rows, boundaries)?;
                gather(rows, hidden, width, width);
                gather(rows, qkv, width, 3 * width);
                Cow::Owned(queries)
            }
        };
        let count = rows.map_or(tokens, <[u32]>::len);
        let hidden = &mut hidden[..count * width];
        let context = context.floats(count * width);
        let part = |part: usize| HeadRows { values: qkv.get(part * width..).unwrap_or(&[]), stride: 3 * width };
        let (isa, precision, heads) = (self.isa, self.precision, self.heads);
        let (query, key, value) = (part(0), part(1), part(2));
        let attention = Attention { isa, precision, heads, query, key, value, rows, bias };
        attention.forward(&queries, boundaries, Shared::new(context), lanes);
        self.feed_forward(context, Shared::new(hidden), self.blocks(count, lanes.len()), lanes);
        Ok(())
    }

    /// Blocks of rows whose feed-forward activations fit into the cache.
    fn blocks(&self, tokens: usize, threads: usize) -> Blocks {
        let tile = self.isa.tile_rows();
        let limit = BLOCK_VALUES / (self.up.outputs() + 3 * self.hidden());
        Blocks::new(tokens, tile, limit.max(4 * tile), threads)
    }

    /// Queries, keys and values of all rows.
    fn project(&self, hidden: &[f32], qkv: Shared, blocks: Blocks, lanes: &mut [Lane]) {
        let width = self.hidden();
        for_each(lanes, blocks.count(), |lane, block| {
            let rows = blocks.rows(block);
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            let qkv = unsafe { qkv.part(rows.start * 3 * width..rows.end * 3 * width) };
            self.qkv.rows(&hidden[rows.start * width..rows.end * width], Epilogue::Bias, qkv, &mut lane.converted);
        });
    }

    /// Everything after the attention.
    fn feed_forward(&self, context: &[f32], hidden: Shared, blocks: Blocks, lanes: &mut [Lane]) {
        let width = self.hidden();
        for_each(lanes, blocks.count(), |lane, block| {
            let rows = blocks.rows(block);
            let values = rows.start * width..rows.end * width;
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            let hidden = unsafe { hidden.part(values.clone()) };
            let sum = lane.sum.floats(hidden.len());
            let inner = lane.inner.floats(rows.len() * self.up.outputs());
            let words = &mut lane.converted;
            self.attention_output.rows(&context[values], Epilogue::Residual(hidden), sum, words);
            self.attention_norm.rows(sum, hidden);
            self.up.rows(hidden, Epilogue::Activation(self.activation), inner, words);
            self.down.rows(inner, Epilogue::Residual(hidden), sum, words);
            self.output_norm.rows(sum, hidden);
        });
    }
}

/// How many of `rows` are before each boundary.
fn boundaries_of(rows: &[u32], boundaries: &[u32]) -> Result<Vec<u32>, KernelError> {
    let tokens = boundaries.last().map_or(0, |last| *last as usize);
    if !rows.is_sorted_by(|one, next| one < next) || rows.last().is_some_and(|last| *last as usize >= tokens) {
        return Err(KernelError::Rows { tokens });
    }
    Ok(boundaries.iter().map(|boundary| rows.partition_point(|row| row < boundary) as u32).collect())
}

/// Moves `width` values of each of `rows` to the front, row after row.
fn gather(rows: &[u32], values: &mut [f32], width: usize, stride: usize) {
    for (to, from) in rows.iter().map(|row| *row as usize).enumerate().filter(|(to, from)| to != from) {
        values.copy_within(from * stride..from * stride + width, to * stride);
    }
}

/// The layers of an encoder, in order; at least one.
#[derive(Clone)]
pub struct Encoder {
    layers: Vec<EncoderLayer>,
    /// As [`DistanceBias`] takes it.
    bias: Option<Vec<f32>>,
}

impl Encoder {
    /// Packs all layers, on all threads of the current pool.
    ///
    /// # Errors
    /// As [`EncoderLayer::new`], if the layers differ in hidden size, or there are none.
    pub fn new(isa: Isa, config: &EncoderConfig, layers: &[LayerWeights]) -> Result<Self, KernelError> {
        if layers.is_empty() {
            return Err(KernelError::Size { what: "layers of an encoder", value: 0, why: "must be positive" });
        }
        let layers =
            layers.par_iter().map(|layer| EncoderLayer::new(isa, config, layer)).collect::<Result<Vec<_>, _>>()?;
        for layer in &layers {
            check_len("hidden size of a layer", layers[0].hidden(), layer.hidden())?;
        }
        Ok(Self { layers, bias: None })
    }

    /// Adds a bias to the attention scores of every layer, as [`DistanceBias::new`] takes it.
    ///
    /// # Errors
    /// As there.
    pub fn with_bias(self, values: Vec<f32>) -> Result<Self, KernelError> {
        DistanceBias::new(&values, self.layers[0].heads.count)?;
        Ok(Self { bias: Some(values), ..self })
    }

    fn bias(&self) -> Result<Option<DistanceBias<'_>>, KernelError> {
        self.bias.as_ref().map(|values| DistanceBias::new(values, self.layers[0].heads.count)).transpose()
    }

    /// Replaces `hidden` by the last layer's output; see [`EncoderLayer::forward`].
    ///
    /// # Errors
    /// As [`EncoderLayer::forward`]; also if a sequence is longer than the bias allows.
    pub fn forward(&self, hidden: &mut [f32], boundaries: &[u32], scratch: &mut Scratch) -> Result<(), KernelError> {
        let bias = self.bias()?;
        self.layers.iter().try_for_each(|layer| layer.forward_some(hidden, boundaries, bias, None, scratch))
    }

    /// As [`forward`](Self::forward), but of the last layer only `rows`, in ascending order: row `rows[i]` of its output becomes
    /// row `i` of `hidden`. The others serve as its keys and values only. The bits are the same.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), or if a row does not exist.
    pub fn forward_rows(
        &self,
        hidden: &mut [f32],
        boundaries: &[u32],
        rows: &[u32],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let (last, others) = self.layers.split_last().expect("an encoder has layers");
        let bias = self.bias()?;
        others.iter().try_for_each(|layer| layer.forward_some(hidden, boundaries, bias, None, scratch))?;
        last.forward_some(hidden, boundaries, bias, Some(rows), scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::pack::Layout;
    use crate::kernels::testing::{activate, boundaries, floats, on_threads, plain_attention, plain_norm};

    const HIDDEN: usize = 60;
    const INNER: usize = 150;
    const CONFIG: EncoderConfig =
        EncoderConfig { heads: 3, activation: Activation::Gelu, layer_norm_epsilon: 1e-12, precision: Precision::F32 };

    /// The tensors of a layer, in the order of `LayerWeights`, weights before biases.
    struct Tensors(Vec<Vec<f32>>);

    impl Tensors {
        fn new(seed: u64) -> Self {
            let linear = [(3 * HIDDEN, HIDDEN), (HIDDEN, HIDDEN), (INNER, HIDDEN), (HIDDEN, INNER)].into_iter();
            let sizes = linear.flat_map(|(o, i)| [o * i, o]).chain([HIDDEN; 4]);
            // Norms are 1 ± 0.2, everything else ± 0.2.
            let one = |at: usize| if at == 8 || at == 10 { 1.0 } else { 0.0 };
            Self(
                sizes
                    .enumerate()
                    .map(|(at, n)| floats(seed * 100 + at as u64, n).iter().map(|x| one(at) + 0.2 * x).collect())
                    .collect(),
            )
        }

        fn weights(&self) -> LayerWeights<'_> {
            let t = &self.0;
            let linear = |at: usize, inputs| LinearWeights {
                weight: &t[2 * at],
                layout: Layout::OutIn,
                bias: &t[2 * at + 1],
                inputs,
            };
            let norm = |at: usize| NormWeights { gamma: &t[at], beta: &t[at + 1] };
            LayerWeights {
                query_key_value: linear(0, HIDDEN),
                attention_output: linear(1, HIDDEN),
                up: linear(2, HIDDEN),
                down: linear(3, INNER),
                attention_norm: norm(8),
                output_norm: norm(10),
            }
        }
    }

    fn plain_linear(x: &[f64], weights: &LinearWeights) -> Vec<f64> {
        let outputs = weights.bias.len();
        x.chunks(weights.inputs)
            .flat_map(|row| {
                (0..outputs).map(|o| {
                    let w = &weights.weight[o * weights.inputs..][..weights.inputs];
                    row.iter().zip(w).map(|(x, w)| x * f64::from(*w)).sum::<f64>() + f64::from(weights.bias[o])
                })
            })
            .collect()
    }

    fn plain_layer(x: &[f64], w: &LayerWeights, boundaries: &[u32]) -> Vec<f64> {
        let qkv = plain_linear(x, &w.query_key_value);
        let [q, k, v] = [0, 1, 2].map(|part| -> Vec<f64> {
            qkv.chunks(3 * HIDDEN).flat_map(|row| row[part * HIDDEN..][..HIDDEN].to_vec()).collect()
        });
        let context = plain_attention(Heads { count: 3, size: 20 }, [&q, &k, &v], boundaries);
        let norm = |x: Vec<f64>, residual: &[f64], w: &NormWeights| -> Vec<f64> {
            let sum: Vec<f64> = x.iter().zip(residual).map(|(x, r)| x + r).collect();
            sum.chunks(HIDDEN).flat_map(|row| plain_norm(row, w.gamma, w.beta, 1e-12)).collect()
        };
        let attended = norm(plain_linear(&context, &w.attention_output), x, &w.attention_norm);
        let inner: Vec<f64> = plain_linear(&attended, &w.up).iter().map(|x| activate(Activation::Gelu, *x)).collect();
        norm(plain_linear(&inner, &w.down), &attended, &w.output_norm)
    }

    #[test]
    fn two_layers_agree_with_the_formulas() {
        let tensors = [Tensors::new(1), Tensors::new(2)];
        let layers = [tensors[0].weights(), tensors[1].weights()];
        let boundaries = boundaries(&[5, 130, 1, 0, 64]);
        let x = floats(9, 200 * HIDDEN);
        let plain: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let expected = layers.iter().fold(plain, |x, layer| plain_layer(&x, layer, &boundaries));
        for isa in Isa::available() {
            let encoder = Encoder::new(isa, &CONFIG, &layers).expect("shapes fit");
            let mut hidden = x.clone();
            encoder.forward(&mut hidden, &boundaries, &mut Scratch::new()).expect("shapes fit");
            let worst = hidden.iter().zip(&expected).map(|(y, e)| (f64::from(*y) - e).abs()).fold(0.0, f64::max);
            assert!(worst < 2e-5, "{isa:?}: {worst:e}");
        }
    }

    #[test]
    fn a_sequence_has_the_same_bits_alone_or_in_a_batch_and_on_any_number_of_threads() {
        let tensors = Tensors::new(3);
        let lengths = [64, 1, 200, 17, 150];
        let boundaries = boundaries(&lengths);
        let x = floats(4, 432 * HIDDEN);
        for (isa, precision) in Isa::available().into_iter().flat_map(|isa| isa.precisions().map(move |p| (isa, p))) {
            let config = EncoderConfig { precision, ..CONFIG };
            let encoder = Encoder::new(isa, &config, &[tensors.weights(), tensors.weights()]).expect("shapes fit");
            // One scratch for all: remains of an earlier micro-batch must not matter.
            let mut scratch = Scratch::new();
            let mut run = |threads, x: &[f32], boundaries: &[u32]| {
                let mut hidden = x.to_vec();
                on_threads(threads, || encoder.forward(&mut hidden, boundaries, &mut scratch)).expect("shapes fit");
                hidden
            };
            let all = run(1, &x, &boundaries);
            assert_eq!(all, run(2, &x, &boundaries), "{isa:?}");
            assert_eq!(all, run(5, &x, &boundaries), "{isa:?}");
            for pair in boundaries.windows(2) {
                let values = pair[0] as usize * HIDDEN..pair[1] as usize * HIDDEN;
                let alone = run(2, &x[values.clone()], &[0, pair[1] - pair[0]]);
                assert_eq!(alone, all[values], "{isa:?} {pair:?}");
            }
        }
    }

    #[test]
    fn some_rows_have_the_bits_that_they_have_among_all() {
        let tensors = Tensors::new(5);
        let boundaries = boundaries(&[64, 1, 0, 200, 17, 150]);
        let x = floats(6, 432 * HIDDEN);
        // Gaps of every size, a sequence without rows (64..65), first and last rows, none, and all.
        let some = (1..432).filter(|row| *row != 64 && row % 7 != 3 && row % 50 < 40).collect();
        let cases: [Vec<u32>; 5] = [some, vec![0, 431], vec![300], vec![], (0..432).collect()];
        for (isa, precision) in Isa::available().into_iter().flat_map(|isa| isa.precisions().map(move |p| (isa, p))) {
            let config = EncoderConfig { precision, ..CONFIG };
            let encoder = Encoder::new(isa, &config, &[tensors.weights(), tensors.weights()]).expect("shapes fit");
            let mut scratch = Scratch::new();
            let mut all = x.clone();
            encoder.forward(&mut all, &boundaries, &mut scratch).expect("shapes fit");
            for (rows, threads) in cases.iter().flat_map(|rows| [1, 3].map(|threads| (rows, threads))) {
                let mut hidden = x.clone();
                on_threads(threads, || encoder.forward_rows(&mut hidden, &boundaries, rows, &mut scratch))
                    .expect("shapes fit");
                for (row, found) in rows.iter().zip(hidden.chunks(HIDDEN)) {
                    assert_eq!(found, &all[*row as usize * HIDDEN..][..HIDDEN], "{isa:?}, {precision:?}, row {row}");
                }
            }
        }
    }

    #[test]
    fn rows_that_do_not_exist_or_do_not_increase_are_errors() {
        let encoder = Encoder::new(Isa::detect(), &CONFIG, &[Tensors::new(1).weights()]).expect("shapes fit");
        for rows in [&[4][..], &[1, 1], &[2, 1]] {
            let mut hidden = floats(1, 4 * HIDDEN);
            let found = encoder.forward_rows(&mut hidden, &[0, 4], rows, &mut Scratch::new());
            assert_eq!(found, Err(KernelError::Rows { tokens: 4 }), "{rows:?}");
        }
    }

    #[test]
    fn an_empty_micro_batch_stays_empty() {
        let encoder = Encoder::new(Isa::detect(), &CONFIG, &[Tensors::new(1).weights()]).expect("shapes fit");
        encoder.forward(&mut [], &[0], &mut Scratch::new()).expect("nothing to do");
    }

    #[test]
    fn inconsistent_shapes_are_errors() {
        let tensors = Tensors::new(1);
        let mut weights = tensors.weights();
        weights.down = weights.attention_output;
        assert!(EncoderLayer::new(Isa::detect(), &CONFIG, &weights).is_err());
        let config = EncoderConfig { heads: 7, ..CONFIG };
        assert!(EncoderLayer::new(Isa::detect(), &config, &tensors.weights()).is_err());
        assert!(Encoder::new(Isa::detect(), &CONFIG, &[]).is_err());
    }
}
