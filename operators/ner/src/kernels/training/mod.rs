//! Training of an encoder layer: a forward pass that keeps what the backward pass needs, and the gradients of the layer's
//! input and all parameters.
//!
//! ```text
//! x ─► qkv ─► attention ─► context ─► (·Wo + bo, dropout) + x ─► norm ─► a ─► up ─► f ─► (·Wd + bd, dropout) + a ─► norm
//! ```
//!
//! Products use the same register tiles as inference; everything between two products is computed while a block of rows is
//! in the cache. Sums over tokens have a fixed order: the same inputs, machine and number of threads give the same bits.

mod attention;
mod dropout;
mod elementwise;
mod panels;

pub(crate) use dropout::Dropout;

use attention::Attention;
use dropout::Place;
use elementwise::{Activate, ActivateBackward, NormBackward, add_rows};
use panels::{Panels, Table};

use super::attention::{DistanceBias, Heads, check_boundaries};
use super::buffer::Buffer;
use super::encoder::NormWeights;
use super::epilogue::Epilogue;
use super::error::{KernelError, check_len};
use super::isa::Isa;
use super::math::Activation;
use super::norm::LayerNorm;
use super::parallel::{Blocks, Shared, for_each};
use super::simd::{Kernel, Simd};

/// Rows per unit of work.
const ROWS: usize = 96;

/// A linear layer in training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrainedLinear<'a> {
    /// `[in, out]`
    pub(crate) weight: &'a [f32],
    /// `[out]`
    pub(crate) bias: &'a [f32],
}

/// A layer's parameters and settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrainingLayer<'a> {
    /// The instructions to use.
    pub(crate) isa: Isa,
    /// The attention's heads.
    pub(crate) heads: Heads,
    /// Between the two feed-forward products.
    pub(crate) activation: Activation,
    /// Added to variances, in the norm after the attention and in that after the feed-forward block.
    pub(crate) epsilon: [f32; 2],
    /// Queries, keys and values side by side: `[hidden, 3·hidden]`.
    pub(crate) query_key_value: TrainedLinear<'a>,
    /// `[hidden, hidden]`
    pub(crate) attention_output: TrainedLinear<'a>,
    /// After the attention.
    pub(crate) attention_norm: NormWeights<'a>,
    /// `[hidden, intermediate]`
    pub(crate) up: TrainedLinear<'a>,
    /// `[intermediate, hidden]`
    pub(crate) down: TrainedLinear<'a>,
    /// After the feed-forward block.
    pub(crate) output_norm: NormWeights<'a>,
    /// Added to the attention's scores.
    pub(crate) bias: Option<DistanceBias<'a>>,
}

/// What a forward pass keeps for the backward pass: `(8·hidden + intermediate)` values per token.
#[derive(Clone)]
pub(crate) struct Tape {
    boundaries: Vec<u32>,
    dropout: Dropout,
    kept: Kept,
}

#[derive(Clone, Default)]
struct Kept {
    /// `[T, 3·hidden]`
    qkv: Buffer,
    /// `[T, hidden]`: the result of attention.
    context: Buffer,
    /// `[T, hidden]`: the sum before the first norm.
    attention_sum: Buffer,
    /// `[T, hidden]`: the result of the first norm.
    attended: Buffer,
    /// `[T, intermediate]`: before the activation.
    inner: Buffer,
    /// `[T, hidden]`: the sum before the second norm.
    output_sum: Buffer,
}

/// The gradients of a layer, each in the layout of its parameter.
#[derive(Debug, Default)]
pub(crate) struct LayerGradients {
    /// Of the input.
    pub(crate) hidden: Vec<f32>,
    /// Of weight and bias: query, key and value.
    pub(crate) query_key_value: [Vec<f32>; 2],
    /// Of weight and bias.
    pub(crate) attention_output: [Vec<f32>; 2],
    /// Of γ and β.
    pub(crate) attention_norm: [Vec<f32>; 2],
    /// Of weight and bias.
    pub(crate) up: [Vec<f32>; 2],
    /// Of weight and bias.
    pub(crate) down: [Vec<f32>; 2],
    /// Of γ and β.
    pub(crate) output_norm: [Vec<f32>; 2],
    /// Of the attention's bias; empty if there is none.
    pub(crate) bias: Vec<f32>,
}

/// Working memory that is reused by each step.
#[derive(Default)]
pub(crate) struct TrainingScratch {
    weights: [Panels; 4],
    gradient_panels: Panels,
    rows: Gradients,
    partial_sums: Buffer,
    lanes: Vec<Lane>,
    attention_lanes: Vec<attention::Lane>,
    /// Memory of finished tapes.
    spare: Vec<Kept>,
}

/// Gradients of whole micro-batches, between two products.
#[derive(Default)]
struct Gradients {
    /// `[T, hidden]`: of the second product of the feed-forward block.
    narrowed: Buffer,
    /// `[T, intermediate]`: of the first product.
    widened: Buffer,
    /// `[T, intermediate]`: the activation, once more.
    activated: Buffer,
    /// `[T, hidden]`: of the attention's output product.
    projected: Buffer,
    /// `[T, hidden]`: of the context.
    context: Buffer,
    /// `[T, hidden]`: of the sum before the first norm.
    attention_sum: Buffer,
    /// `[T, 3·hidden]`
    qkv: Buffer,
}

/// Working memory of one thread: a block of rows.
#[derive(Default)]
struct Lane {
    sum: Buffer,
    inner: Buffer,
}

impl TrainingLayer<'_> {
    fn hidden(&self) -> usize {
        self.attention_norm.gamma.len()
    }

    fn intermediate(&self) -> usize {
        self.up.bias.len()
    }

    /// Computes `out` (`[T, hidden]`) from `hidden` (`[T, hidden]`), on all threads of the current pool. Sequence `i`
    /// is the rows `boundaries[i]..boundaries[i + 1]`.
    ///
    /// # Errors
    /// If lengths are inconsistent, the boundaries do not increase from 0 to `T`, or a sequence is longer than the bias allows.
    pub(crate) fn forward(
        &self,
        hidden: &[f32],
        boundaries: &[u32],
        dropout: Dropout,
        out: &mut [f32],
        scratch: &mut TrainingScratch,
    ) -> Result<Tape, KernelError> {
        let (width, inner) = (self.hidden(), self.intermediate());
        self.check(hidden, out)?;
        let tokens = hidden.len() / width;
        check_boundaries(boundaries, tokens)?;
        self.bias.map_or(Ok(()), |bias| bias.check(boundaries))?;
        scratch.fit();
        let mut kept = scratch.spare.pop().unwrap_or_default();
        let TrainingScratch {
            weights: [qkv_weight, output_weight, up_weight, down_weight],
            lanes,
            attention_lanes,
            ..
        } = scratch;
        let linears = [
            (&mut *qkv_weight, self.query_key_value, width),
            (&mut *output_weight, self.attention_output, width),
            (&mut *up_weight, self.up, width),
            (&mut *down_weight, self.down, inner),
        ];
        for (panels, linear, _) in linears {
            panels.pack(self.isa, Table::new(linear.weight, linear.bias.len()), lanes);
        }
        let qkv = kept.qkv.floats(tokens * 3 * width);
        self.blocks(tokens, Shared::new(qkv), 3 * width, lanes, |_, rows, out| {
            let left = Table::new(&hidden[rows.start * width..rows.end * width], width);
            qkv_weight.multiply(self.isa, left, self.query_key_value.bias, Epilogue::Bias, out);
        });
        let context = kept.context.floats(tokens * width);
        let attention = Attention { isa: self.isa, heads: self.heads, dropout, boundaries, qkv, bias: self.bias };
        attention.forward(context, attention_lanes);
        let sums = [kept.attention_sum.floats(tokens * width), kept.output_sum.floats(tokens * width)].map(Shared::new);
        let attended = Shared::new(kept.attended.floats(tokens * width));
        let widened = Shared::new(kept.inner.floats(tokens * inner));
        let norm = |weights: &NormWeights, epsilon| LayerNorm::new(self.isa, weights.gamma, weights.beta, epsilon);
        let norms = [norm(&self.attention_norm, self.epsilon[0])?, norm(&self.output_norm, self.epsilon[1])?];
        self.blocks(tokens, Shared::new(out), width, lanes, |lane, rows, out| {
            let values = rows.start * width..rows.end * width;
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            let (attention_sum, output_sum, attended, widened) = unsafe {
                let inner = rows.start * inner..rows.end * inner;
                let [attention_sum, output_sum] = sums.map(|sum| sum.part(values.clone()));
                (attention_sum, output_sum, attended.part(values.clone()), widened.part(inner))
            };
            let sum = lane.sum.floats(values.len());
            let drop = |place| Drop { dropout, place, first_row: rows.start, width };
            let context = Table::new(&context[values.clone()], width);
            output_weight.multiply(self.isa, context, self.attention_output.bias, Epilogue::Bias, sum);
            self.isa.run(drop(Place::AttentionOutput).of(sum, Some(&hidden[values]), attention_sum));
            norms[0].rows(attention_sum, attended);
            up_weight.multiply(self.isa, Table::new(attended, width), self.up.bias, Epilogue::Bias, widened);
            let activated = lane.inner.floats(widened.len());
            self.isa.run(Activate { activation: self.activation, x: widened, out: activated });
            down_weight.multiply(self.isa, Table::new(activated, inner), self.down.bias, Epilogue::Bias, sum);
            self.isa.run(drop(Place::Output).of(sum, Some(attended), output_sum));
            norms[1].rows(output_sum, out);
        });
        Ok(Tape { boundaries: boundaries.to_vec(), dropout, kept })
    }

    /// Computes all gradients from that of the output (`[T, hidden]`); `hidden` is the input of the forward pass.
    ///
    /// # Errors
    /// If lengths are inconsistent.
    pub(crate) fn backward(
        &self,
        tape: Tape,
        hidden: &[f32],
        gradient: &[f32],
        scratch: &mut TrainingScratch,
    ) -> Result<LayerGradients, KernelError> {
        self.check(hidden, gradient)?;
        scratch.fit();
        let (width, inner, tokens) = (self.hidden(), self.intermediate(), hidden.len() / self.hidden());
        let Tape { boundaries, dropout, mut kept } = tape;
        let mut found = LayerGradients::default();
        self.feed_forward_backward(&mut kept, dropout, gradient, &mut found, scratch);

        let TrainingScratch { weights: [qkv_weight, ..], gradient_panels, rows, lanes, attention_lanes, .. } = scratch;
        let qkv = kept.qkv.floats(tokens * 3 * width);
        let qkv_gradient = rows.qkv.floats(tokens * 3 * width);
        let boundaries = &boundaries;
        let attention = Attention { isa: self.isa, heads: self.heads, dropout, boundaries, qkv, bias: self.bias };
        found.bias = attention.backward(rows.context.floats(tokens * width), qkv_gradient, attention_lanes);

        qkv_weight.pack_transposed(self.isa, Table::new(self.query_key_value.weight, 3 * width), lanes);
        found.hidden = vec![0.0; hidden.len()];
        let residual = rows.attention_sum.floats(tokens * width);
        self.blocks(tokens, Shared::new(&mut found.hidden), width, lanes, |_, rows, out| {
            let left = Table::new(&qkv_gradient[rows.start * 3 * width..rows.end * 3 * width], 3 * width);
            let residual = Epilogue::Residual(&residual[rows.start * width..rows.end * width]);
            qkv_weight.multiply(self.isa, left, &[], residual, out);
        });
        found.query_key_value[1] = self.column_sums(qkv_gradient, 3 * width, lanes);
        let attended = kept.attended.floats(tokens * width);
        let context = kept.context.floats(tokens * width);
        let inputs_and_gradients = [
            (Table::new(hidden, width), Table::new(qkv_gradient, 3 * width)),
            (Table::new(context, width), Table::new(rows.projected.floats(tokens * width), width)),
            (Table::new(attended, width), Table::new(rows.widened.floats(tokens * inner), inner)),
            (
                Table::new(rows.activated.floats(tokens * inner), inner),
                Table::new(rows.narrowed.floats(tokens * width), width),
            ),
        ];
        let weights =
            [&mut found.query_key_value[0], &mut found.attention_output[0], &mut found.up[0], &mut found.down[0]];
        for ((inputs, gradients), out) in inputs_and_gradients.into_iter().zip(weights) {
            *out = vec![0.0; inputs.columns * gradients.columns];
            gradient_panels.weight_gradient(self.isa, inputs, gradients, out, lanes);
        }
        scratch.spare.push(kept);
        Ok(found)
    }

    /// From the output back to the context: everything except attention and the gradients of the weights.
    fn feed_forward_backward(
        &self,
        kept: &mut Kept,
        dropout: Dropout,
        gradient: &[f32],
        found: &mut LayerGradients,
        scratch: &mut TrainingScratch,
    ) {
        let (width, inner, tokens) = (self.hidden(), self.intermediate(), gradient.len() / self.hidden());
        let TrainingScratch { weights: [_, output_weight, up_weight, down_weight], rows, partial_sums, lanes, .. } =
            scratch;
        for (panels, linear) in
            [(&mut *output_weight, self.attention_output), (&mut *up_weight, self.up), (&mut *down_weight, self.down)]
        {
            panels.pack_transposed(self.isa, Table::new(linear.weight, linear.bias.len()), lanes);
        }
        let (attention_sum, output_sum) =
            (&*kept.attention_sum.floats(tokens * width), &*kept.output_sum.floats(tokens * width));
        let inner_values = &*kept.inner.floats(tokens * inner);
        let narrow = [&mut rows.narrowed, &mut rows.projected, &mut rows.attention_sum]
            .map(|buffer| Shared::new(buffer.floats(tokens * width)));
        let wide = [&mut rows.widened, &mut rows.activated].map(|buffer| Shared::new(buffer.floats(tokens * inner)));
        let blocks = self.row_blocks(tokens, lanes.len());
        let sums = Sums { hidden: width, inner };
        let partial = partial_sums.floats(blocks.count() * sums.len());
        partial.fill(0.0);
        let shared_partial = Shared::new(partial);
        let context = Shared::new(rows.context.floats(tokens * width));
        for_each(lanes, blocks.count(), |lane, block| {
            let rows = blocks.rows(block);
            let values = rows.start * width..rows.end * width;
            let inner_range = rows.start * inner..rows.end * inner;
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            let ([narrowed, projected, sum], [widened, activated], context, mut partial) = unsafe {
                let partial = shared_partial.part(block * sums.len()..(block + 1) * sums.len());
                (
                    narrow.map(|buffer| buffer.part(values.clone())),
                    wide.map(|buffer| buffer.part(inner_range.clone())),
                    context.part(values.clone()),
                    sums.split(partial),
                )
            };
            let drop = |place| Drop { dropout, place, first_row: rows.start, width };
            let of_output = lane.sum.floats(values.len());
            of_output.copy_from_slice(&gradient[values.clone()]);
            self.isa.run(NormBackward {
                gamma: self.output_norm.gamma,
                epsilon: self.epsilon[1],
                x: &output_sum[values.clone()],
                gradient: of_output,
                sums: partial.output_norm.each_mut().map(|sum| &mut **sum),
            });
            self.isa.run(drop(Place::Output).of(of_output, None, narrowed));
            add_rows(narrowed, partial.down);
            down_weight.multiply(self.isa, Table::new(narrowed, width), &[], Epilogue::Bias, widened);
            let x = &inner_values[inner_range];
            self.isa.run(ActivateBackward { activation: self.activation, x, gradient: widened, out: activated });
            add_rows(widened, partial.up);
            up_weight.multiply(self.isa, Table::new(widened, inner), &[], Epilogue::Residual(of_output), sum);
            self.isa.run(NormBackward {
                gamma: self.attention_norm.gamma,
                epsilon: self.epsilon[0],
                x: &attention_sum[values],
                gradient: sum,
                sums: partial.attention_norm.each_mut().map(|sum| &mut **sum),
            });
            self.isa.run(drop(Place::AttentionOutput).of(sum, None, projected));
            add_rows(projected, partial.attention_output);
            output_weight.multiply(self.isa, Table::new(projected, width), &[], Epilogue::Bias, context);
        });
        let mut total = vec![0.0; sums.len()];
        add_rows(partial, &mut total);
        let total = sums.split(&mut total);
        found.output_norm = total.output_norm.map(|sum| sum.to_vec());
        found.attention_norm = total.attention_norm.map(|sum| sum.to_vec());
        found.down[1] = total.down.to_vec();
        found.up[1] = total.up.to_vec();
        found.attention_output[1] = total.attention_output.to_vec();
    }

    fn check(&self, hidden: &[f32], out: &[f32]) -> Result<(), KernelError> {
        let (width, inner) = (self.hidden(), self.intermediate());
        if width == 0 || self.heads.count * self.heads.size != width {
            let why = "must be a divisor of the hidden size";
            return Err(KernelError::Size { what: "attention heads", value: self.heads.count, why });
        }
        check_len("hidden states", hidden.len() / width * width, hidden.len())?;
        check_len("output of a layer", hidden.len(), out.len())?;
        for (what, linear, from, to) in [
            ("query, key and value of a layer", self.query_key_value, width, 3 * width),
            ("attention output", self.attention_output, width, width),
            ("first half of the feed-forward block", self.up, width, inner),
            ("second half of the feed-forward block", self.down, inner, width),
        ] {
            check_len(what, from * to, linear.weight.len())?;
            check_len(what, to, linear.bias.len())?;
        }
        for norm in [self.attention_norm, self.output_norm] {
            check_len("gamma of a layer norm", width, norm.gamma.len())?;
            check_len("beta of a layer norm", width, norm.beta.len())?;
        }
        Ok(())
    }

    fn row_blocks(&self, tokens: usize, threads: usize) -> Blocks {
        Blocks::new(tokens, self.isa.tile_rows(), ROWS, threads)
    }

    /// Calls `work` for blocks of rows of `out`, which is `columns` wide, on all threads.
    fn blocks(
        &self,
        tokens: usize,
        out: Shared,
        columns: usize,
        lanes: &mut [Lane],
        work: impl Fn(&mut Lane, std::ops::Range<usize>, &mut [f32]) + Sync,
    ) {
        let blocks = self.row_blocks(tokens, lanes.len());
        for_each(lanes, blocks.count(), |lane, block| {
            let rows = blocks.rows(block);
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            let out = unsafe { out.part(rows.start * columns..rows.end * columns) };
            work(lane, rows, out);
        });
    }

    /// The sum of each column, in the order of the rows.
    fn column_sums(&self, values: &[f32], width: usize, lanes: &mut [Lane]) -> Vec<f32> {
        let blocks = self.row_blocks(values.len() / width, lanes.len());
        let mut partial = vec![0.0; blocks.count() * width];
        let shared = Shared::new(&mut partial);
        for_each(lanes, blocks.count(), |_, block| {
            let rows = blocks.rows(block);
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            let sums = unsafe { shared.part(block * width..(block + 1) * width) };
            add_rows(&values[rows.start * width..rows.end * width], sums);
        });
        let mut total = vec![0.0; width];
        add_rows(&partial, &mut total);
        total
    }
}

impl TrainingScratch {
    /// One lane per thread of the current pool.
    fn fit(&mut self) {
        let threads = rayon::current_num_threads();
        self.lanes.resize_with(threads, Lane::default);
        self.attention_lanes.resize_with(threads, attention::Lane::default);
    }
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("sequences", &(self.boundaries.len() - 1)).finish_non_exhaustive()
    }
}

/// Sums over rows that a backward pass collects, block by block.
#[derive(Clone, Copy)]
struct Sums {
    hidden: usize,
    inner: usize,
}

/// Splits a slice into these sums.
struct SplitSums<'a> {
    output_norm: [&'a mut [f32]; 2],
    attention_norm: [&'a mut [f32]; 2],
    down: &'a mut [f32],
    attention_output: &'a mut [f32],
    up: &'a mut [f32],
}

impl Sums {
    fn len(self) -> usize {
        6 * self.hidden + self.inner
    }

    fn split(self, sums: &mut [f32]) -> SplitSums<'_> {
        let (narrow, up) = sums.split_at_mut(6 * self.hidden);
        let mut parts = narrow.chunks_exact_mut(self.hidden);
        let mut part = || parts.next().expect("there are six");
        SplitSums {
            output_norm: [part(), part()],
            attention_norm: [part(), part()],
            down: part(),
            attention_output: part(),
            up,
        }
    }
}

/// Drops values of some rows: `out = mask·x + add`.
struct Drop {
    dropout: Dropout,
    place: Place,
    /// The number of the first row within the micro-batch.
    first_row: usize,
    width: usize,
}

struct Dropped<'a> {
    drop: Drop,
    x: &'a [f32],
    add: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Drop {
    fn of<'a>(self, x: &'a [f32], add: Option<&'a [f32]>, out: &'a mut [f32]) -> Dropped<'a> {
        assert!(x.len() == out.len() && add.is_none_or(|add| add.len() == x.len()), "rows of one length");
        Dropped { drop: self, x, add, out }
    }
}

impl<S: Simd> Kernel<S> for Dropped<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        let Self { drop: Drop { dropout, place, first_row, width }, x, add, out } = self;
        out.copy_from_slice(x);
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            if let Some(mask) = dropout.mask(place, first_row + row) {
                mask.apply(out);
            }
            if let Some(add) = add {
                out.iter_mut().zip(&add[row * width..]).for_each(|(y, x)| *y += x);
            }
        }
    }
}
