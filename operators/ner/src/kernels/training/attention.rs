//! Attention with dropout over its probabilities, and its gradient.
//!
//! The forward pass keeps only queries, keys and values. The backward pass recomputes a head's scores, which costs a fifth
//! of its products and saves `heads·length` values per token.

use std::ops::Range;

use super::dropout::{Dropout, Place};
use super::panels::{Panels, Table};
use crate::kernels::attention::{DistanceBias, Heads, add_scaled, exponentials, largest_score};
use crate::kernels::buffer::Buffer;
use crate::kernels::isa::Isa;
use crate::kernels::parallel::{Shared, for_each};
use crate::kernels::simd::{Kernel, Simd};

/// Working memory of one thread: the scores of one head of one sequence, twice, and four packed operands.
#[derive(Default)]
pub(super) struct Lane {
    scores: Buffer,
    gradients: Buffer,
    panels: [Panels; 4],
}

/// The inputs of both passes.
#[derive(Clone, Copy)]
pub(super) struct Attention<'a> {
    pub(super) isa: Isa,
    pub(super) heads: Heads,
    pub(super) dropout: Dropout,
    pub(super) boundaries: &'a [u32],
    /// `[T, 3·hidden]`: queries, keys and values.
    pub(super) qkv: &'a [f32],
    /// Added to scores; no sequence is longer than it allows.
    pub(super) bias: Option<DistanceBias<'a>>,
}

/// One head of one sequence.
#[derive(Clone)]
struct Pair {
    /// Counted through the heads of each sequence.
    number: usize,
    head: usize,
    tokens: Range<usize>,
}

impl Attention<'_> {
    fn hidden(&self) -> usize {
        self.heads.count * self.heads.size
    }

    /// Computes the context `[T, hidden]`.
    pub(super) fn forward(&self, context: &mut [f32], lanes: &mut [Lane]) {
        let hidden = self.hidden();
        assert!(context.len() * 3 == self.qkv.len(), "one row of context per token");
        let context = Shared::new(context);
        self.each_pair(lanes, |lane, pair| {
            let stride = stride(pair.tokens.len());
            self.probabilities(lane, &pair, stride);
            self.drop_probabilities(lane, &pair, stride);
            let length = pair.tokens.len();
            let column = pair.head * self.heads.size;
            let (scores, [_, values, ..]) = (&mut lane.scores, &mut lane.panels);
            let weights = square(scores.floats(length * stride), length, stride);
            values.pack(self.isa, self.part(2, &pair), &mut [()]);
            // SAFETY: only this pair uses these columns of the sequence's rows.
            unsafe {
                let out = context.as_mut_ptr().add(pair.tokens.start * hidden + column);
                values.multiply_into(self.isa, weights, out, hidden);
            }
        });
    }

    /// Computes the gradient of `qkv` (`[T, 3·hidden]`) from that of the context (`[T, hidden]`). Returns the gradient of the
    /// bias, which is empty if there is none.
    pub(super) fn backward(&self, context: &[f32], gradient: &mut [f32], lanes: &mut [Lane]) -> Vec<f32> {
        let hidden = self.hidden();
        assert!(context.len() * 3 == self.qkv.len() && gradient.len() == self.qkv.len(), "one row per token");
        let out = Shared::new(gradient);
        let mut sums = DistanceSums::new(self);
        let of_distances = Shared::new(&mut sums.values);
        self.each_pair(lanes, |lane, pair| {
            let (length, stride) = (pair.tokens.len(), stride(pair.tokens.len()));
            let columns = pair.head * self.heads.size..(pair.head + 1) * self.heads.size;
            let incoming = Table::within(context, pair.tokens.clone(), columns.clone(), hidden);
            self.probabilities(lane, &pair, stride);

            let [keys, values, queries, packed_incoming] = &mut lane.panels;
            values.pack_transposed(self.isa, self.part(2, &pair), &mut [()]);
            let gradients = lane.gradients.floats(length * stride);
            // SAFETY: only this thread uses the rows of scores, `stride` apart.
            unsafe { values.multiply_into(self.isa, incoming, gradients.as_mut_ptr(), stride) };
            let probabilities = lane.scores.floats(length * stride);
            self.isa.run(SoftmaxBackward { attention: self, pair: &pair, stride, probabilities, gradients });
            if self.bias.is_some() {
                // SAFETY: only this pair uses its sums.
                let sums = unsafe { of_distances.part(pair.number * sums.width..(pair.number + 1) * sums.width) };
                self.isa.run(AddDistances { gradients, length, stride, sums });
            }

            keys.pack(self.isa, self.part(1, &pair), &mut [()]);
            queries.pack(self.isa, self.part(0, &pair), &mut [()]);
            packed_incoming.pack(self.isa, incoming, &mut [()]);
            let (weights, scores) = (square(probabilities, length, stride), square(gradients, length, stride));
            // SAFETY: only this pair uses these columns of the sequence's rows, in all three parts.
            unsafe {
                let at = |part: usize| out.as_mut_ptr().add((pair.tokens.start * 3 + part) * hidden + columns.start);
                keys.multiply_into(self.isa, scores, at(0), 3 * hidden);
                queries.multiply_transposed(self.isa, scores, at(1), 3 * hidden);
                packed_incoming.multiply_transposed(self.isa, weights, at(2), 3 * hidden);
            }
        });
        self.bias.map_or_else(Vec::new, |bias| sums.total(bias, self.heads))
    }

    fn each_pair(&self, lanes: &mut [Lane], work: impl Fn(&mut Lane, Pair) + Sync) {
        let sequences = self.boundaries.len() - 1;
        for_each(lanes, sequences * self.heads.count, |lane, item| {
            let (sequence, head) = (item / self.heads.count, item % self.heads.count);
            let tokens = self.boundaries[sequence] as usize..self.boundaries[sequence + 1] as usize;
            if !tokens.is_empty() {
                work(lane, Pair { number: item, head, tokens });
            }
        });
    }

    /// A pair's queries (0), keys (1) or values (2).
    fn part(&self, part: usize, pair: &Pair) -> Table<'_> {
        let start = part * self.hidden() + pair.head * self.heads.size;
        Table::within(self.qkv, pair.tokens.clone(), start..start + self.heads.size, 3 * self.hidden())
    }

    /// Computes `softmax(Q·Kᵀ/√d)` of a pair into the lane's scores.
    fn probabilities(&self, lane: &mut Lane, pair: &Pair, stride: usize) {
        let length = pair.tokens.len();
        let keys = &mut lane.panels[0];
        keys.pack_transposed(self.isa, self.part(1, pair), &mut [()]);
        let scores = lane.scores.floats(length * stride);
        // SAFETY: only this thread uses the rows of scores, `stride` apart.
        unsafe { keys.multiply_into(self.isa, self.part(0, pair), scores.as_mut_ptr(), stride) };
        let scale = 1.0 / (self.heads.size as f32).sqrt();
        self.isa.run(Softmax { scores, length, stride, scale, bias: self.bias.map(|bias| (bias, pair.head)) });
    }

    fn drop_probabilities(&self, lane: &mut Lane, pair: &Pair, stride: usize) {
        let length = pair.tokens.len();
        let scores = lane.scores.floats(length * stride);
        self.isa.run(Drop { attention: self, pair, scores, stride });
    }
}

/// Distance between rows of scores, with an extra cache line so that rows do not share cache sets.
fn stride(length: usize) -> usize {
    length.next_multiple_of(16) + 16
}

fn square(values: &[f32], length: usize, stride: usize) -> Table<'_> {
    Table::within(values, 0..length, 0..length, stride)
}

struct Softmax<'a> {
    scores: &'a mut [f32],
    length: usize,
    stride: usize,
    scale: f32,
    /// What is added to the scores of a head.
    bias: Option<(DistanceBias<'a>, usize)>,
}

impl<S: Simd> Kernel<S> for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        for (position, row) in self.scores.chunks_exact_mut(self.stride).enumerate() {
            let row = &mut row[..self.length];
            // SAFETY: the row holds `length` values.
            let sum = unsafe {
                if let Some((bias, head)) = self.bias {
                    add_scaled(s, row.as_mut_ptr(), bias.row(head, position, self.length), 1.0 / self.scale);
                }
                let largest = largest_score(s, row.as_ptr(), self.length);
                exponentials(s, row.as_mut_ptr(), self.length, self.scale, largest)
            };
            let inverse = 1.0 / sum;
            row.iter_mut().for_each(|value| *value *= inverse);
        }
    }
}

struct Drop<'a> {
    attention: &'a Attention<'a>,
    pair: &'a Pair,
    scores: &'a mut [f32],
    stride: usize,
}

impl<S: Simd> Kernel<S> for Drop<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        for (token, row) in self.pair.tokens.clone().zip(self.scores.chunks_exact_mut(self.stride)) {
            if let Some(mask) = self.attention.dropout.mask(Place::Head(self.pair.head), token) {
                mask.apply(&mut row[..self.pair.tokens.len()]);
            }
        }
    }
}

/// From probabilities `P` and the gradient of their dropped form to the dropped `P` and the gradient of the scores:
/// `dS = P·(dP − Σ dP·P)/√d`, row by row, with `dP` the gradient times the mask.
struct SoftmaxBackward<'a> {
    attention: &'a Attention<'a>,
    pair: &'a Pair,
    stride: usize,
    probabilities: &'a mut [f32],
    gradients: &'a mut [f32],
}

impl<S: Simd> Kernel<S> for SoftmaxBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let length = self.pair.tokens.len();
        let scale = 1.0 / (self.attention.heads.size as f32).sqrt();
        let rows = self.probabilities.chunks_exact_mut(self.stride).zip(self.gradients.chunks_exact_mut(self.stride));
        for (token, (probabilities, gradients)) in self.pair.tokens.clone().zip(rows) {
            let (probabilities, gradients) = (&mut probabilities[..length], &mut gradients[..length]);
            let mask = self.attention.dropout.mask(Place::Head(self.pair.head), token);
            if let Some(mask) = mask {
                mask.apply(gradients);
            }
            let sum = super::elementwise::dot(s, probabilities, gradients);
            for (probability, gradient) in probabilities.iter().zip(gradients.iter_mut()) {
                *gradient = probability * (*gradient - sum) * scale;
            }
            if let Some(mask) = mask {
                mask.apply(probabilities);
            }
        }
    }
}

/// The gradient of the bias, by pair and distance, so that it is added up in a fixed order.
struct DistanceSums {
    values: Vec<f32>,
    /// Distances in the longest sequence.
    width: usize,
}

impl DistanceSums {
    /// Zeros; nothing if there is no bias.
    fn new(attention: &Attention) -> Self {
        let longest = attention.boundaries.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0);
        let width = (2 * longest).saturating_sub(1);
        let pairs = if attention.bias.is_some() { (attention.boundaries.len() - 1) * attention.heads.count } else { 0 };
        Self { values: vec![0.0; pairs * width], width }
    }

    /// The gradient of the bias. That of scores is by their products, which are `√d` times as large.
    fn total(&self, bias: DistanceBias, heads: Heads) -> Vec<f32> {
        let unit = (heads.size as f32).sqrt();
        let mut total = vec![0.0; bias.len()];
        let (all, used) = (bias.len() / heads.count, self.width);
        for (number, sums) in self.values.chunks_exact(used.max(1)).enumerate() {
            let first = number % heads.count * all + (all - used) / 2;
            total[first..first + used].iter_mut().zip(sums).for_each(|(total, sum)| *total += unit * sum);
        }
        total
    }
}

/// Adds the gradients of a pair's scores, row by row, to the sums of their distances.
struct AddDistances<'a> {
    gradients: &'a [f32],
    length: usize,
    stride: usize,
    sums: &'a mut [f32],
}

impl<S: Simd> Kernel<S> for AddDistances<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let middle = self.sums.len() / 2;
        for (query, row) in self.gradients.chunks_exact(self.stride).enumerate() {
            let sums = &mut self.sums[middle - query..][..self.length];
            // SAFETY: both have `length` values.
            unsafe { add_scaled(s, sums.as_mut_ptr(), &row[..self.length], 1.0) };
        }
    }
}
