//! Attention over packed sequences: `softmax(Q·Kᵀ/√d)·V`, separately for each sequence.
//!
//! Work is divided into (sequence, head) pairs, which threads take one by one; if there are too few pairs to keep all
//! threads busy, a pair's queries are divided as well. Keys and values of a pair are packed into panels and stay in the
//! second-level cache while blocks of queries are processed: scores, exponentials and their sums, then the weighted values.
//! A row's result depends only on its own sequence, bit for bit.

#[cfg(target_arch = "x86_64")]
mod bf16;
mod distance;

pub use distance::DistanceBias;
pub(super) use distance::add_scaled;

use super::error::{KernelError, check_len};
use super::gemm::{F32, Finish, Keep, Rows, Shape, multiply};
use super::isa::Isa;
use super::math::exp;
use super::pack::{pack_columns, pack_rows};
use super::parallel::{Shared, for_each};
use super::precision::Precision;
use super::scratch::{Lane, Scratch};
use super::simd::{Kernel, Simd};

/// Queries per block, in register tiles; their scores stay in the second-level cache.
const QUERY_TILES: usize = 3;
/// Units of work per thread, for even load.
const PIECES_PER_THREAD: usize = 4;

/// Rows of queries, keys or values of all heads: row `t` of head `h` starts at `t·stride + h·head_size`.
#[derive(Clone, Copy, Debug)]
pub struct HeadRows<'a> {
    /// The values, starting at the first row's first head.
    pub values: &'a [f32],
    /// Distance between rows.
    pub stride: usize,
}

/// The shape of a multi-head attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Values per head and row.
    pub size: usize,
}

/// Attends within each sequence; `out` is `[T, heads·head_size]`. Of every [`Precision`] but `F32`, products are of bfloat16
/// if the processor has them.
///
/// Sequence `i` is the rows `boundaries[i]..boundaries[i + 1]`; a sequence may be empty.
///
/// # Errors
/// If a slice is too short for its rows, or the boundaries do not increase from 0 to `T`.
pub fn attention(
    isa: Isa,
    precision: Precision,
    heads: Heads,
    [query, key, value]: [HeadRows; 3],
    boundaries: &[u32],
    out: &mut [f32],
    scratch: &mut Scratch,
) -> Result<(), KernelError> {
    let hidden = heads.count * heads.size;
    if hidden == 0 {
        return Err(KernelError::Size { what: "attention heads", value: 0, why: "number and size must be positive" });
    }
    let tokens = out.len() / hidden;
    check_len("output of attention", tokens * hidden, out.len())?;
    check_boundaries(boundaries, tokens)?;
    for (what, rows) in [("queries", query), ("keys", key), ("values", value)] {
        let expected = if tokens == 0 { 0 } else { (tokens - 1) * rows.stride + hidden };
        if rows.values.len() < expected || rows.stride < hidden {
            return Err(KernelError::Length { what, expected, found: rows.values.len() });
        }
    }
    let call = Attention { isa, precision, heads, query, key, value, rows: None, bias: None };
    call.forward(boundaries, boundaries, Shared::new(out), scratch.lanes());
    Ok(())
}

/// Checks that boundaries start at 0, never decrease, and end at `tokens`.
pub(super) fn check_boundaries(boundaries: &[u32], tokens: usize) -> Result<(), KernelError> {
    let ends = boundaries.first() == Some(&0) && boundaries.last().is_some_and(|last| *last as usize == tokens);
    if ends && boundaries.is_sorted() { Ok(()) } else { Err(KernelError::Boundaries { tokens }) }
}

/// A checked call: every row within the boundaries exists in the three inputs.
pub(super) struct Attention<'a> {
    pub(super) isa: Isa,
    pub(super) precision: Precision,
    pub(super) heads: Heads,
    pub(super) query: HeadRows<'a>,
    pub(super) key: HeadRows<'a>,
    pub(super) value: HeadRows<'a>,
    /// The row of each query among the keys; `None` if that is its own.
    pub(super) rows: Option<&'a [u32]>,
    /// Added to scores; no sequence is longer than it allows.
    pub(super) bias: Option<DistanceBias<'a>>,
}

impl Attention<'_> {
    /// Computes all rows of `out`, one per query. The queries and the keys of each sequence have boundaries of their own.
    pub(super) fn forward(&self, queries: &[u32], keys: &[u32], out: Shared, lanes: &mut [Lane]) {
        let pairs = (keys.len() - 1) * self.heads.count;
        let cuts =
            (PIECES_PER_THREAD * lanes.len()).div_ceil(pairs.max(1)).min(if lanes.len() == 1 { 1 } else { usize::MAX });
        for_each(lanes, pairs * cuts, |lane, item| {
            let (pair, cut) = (item / cuts, item % cuts);
            let sequence = pair / self.heads.count;
            let rows = |boundaries: &[u32]| boundaries[sequence] as usize..boundaries[sequence + 1] as usize;
            let std::ops::Range { start, end } = rows(queries);
            let edge = |cut: usize| start + (end - start) * cut / cuts;
            let (first_query, last_query) = (edge(cut), edge(cut + 1));
            if first_query < last_query {
                self.run(Pair {
                    attention: self,
                    head: pair % self.heads.count,
                    keys: rows(keys),
                    queries: first_query..last_query,
                    out,
                    lane,
                });
            }
        });
    }

    /// The row of a query among the keys.
    #[inline(always)]
    fn row_of(&self, query: usize) -> usize {
        self.rows.map_or(query, |rows| rows[query] as usize)
    }

    fn run(&self, pair: Pair) {
        #[cfg(target_arch = "x86_64")]
        if self.precision != Precision::F32 && self.isa.has_bf16_dot() {
            return self.isa.run_bf16(bf16::Rounded(pair)).unwrap_or(());
        }
        self.isa.run(pair);
    }
}

/// Some queries of one head of one sequence.
struct Pair<'a> {
    attention: &'a Attention<'a>,
    head: usize,
    keys: std::ops::Range<usize>,
    queries: std::ops::Range<usize>,
    /// Only the head's columns of the queries' rows are touched.
    out: Shared<'a>,
    lane: &'a mut Lane,
}

impl<S: Simd> Kernel<S> for Pair<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let Self { attention, head, keys, queries, out, lane } = self;
        let Attention { heads: Heads { count, size }, query, key, value, .. } = *attention;
        let column = head * size;
        let length = keys.len();
        let key_shape = Shape { inner: size, columns: length, panel: 2 * S::LANES };
        let value_shape = Shape { inner: length, columns: size, panel: 2 * S::LANES };
        let key_panels = lane.keys.words(key_shape.words());
        pack_columns(key_shape, key_panels, |k| fetch(s, key, keys.start + k, column..column + size));
        let value_panels = lane.values.words(value_shape.words());
        pack_rows(value_shape, value_panels, |k| fetch(s, value, keys.start + k, column..column + size));

        // One extra cache line, so that rows do not share cache sets.
        let stride = length.next_multiple_of(16) + 16;
        let block = QUERY_TILES * S::TILE_ROWS;
        let scores = lane.scores.floats(block * stride);
        let mut sums = [0.0; QUERY_TILES * MAX_TILE_ROWS];
        let scale = 1.0 / (size as f32).sqrt();
        for first in queries.clone().step_by(block) {
            let rows = block.min(queries.end - first);
            for next in first + block..(first + 2 * block).min(queries.end) {
                prefetch(s, query, next, column..column + size);
            }
            // SAFETY: the queries exist (`attention` checked), the scores hold `rows` rows, the panels have these
            // shapes, and the head's columns of these rows of `out` are this call's alone.
            unsafe {
                let start = query.values.as_ptr().add(first * query.stride + column).cast();
                let query_rows: Rows = Rows { start, stride: query.stride, count: rows };
                let table = scores.as_mut_ptr();
                multiply(s, F32, query_rows, key_panels.as_ptr(), key_shape, table.cast(), stride, &Keep);
                attention.add_bias(s, 1.0 / scale, head, &keys, first..first + rows, (table, stride));
                // All maxima first, so that the processor can work on several rows at once.
                for (row, largest) in sums.iter_mut().enumerate().take(rows) {
                    *largest = largest_score(s, table.add(row * stride), length);
                }
                for (row, sum) in sums.iter_mut().enumerate().take(rows) {
                    *sum = exponentials(s, table.add(row * stride), length, scale, *sum);
                }
                let inverses = sums.map(|sum| 1.0 / sum);
                let weights: Rows = Rows { start: table.cast(), stride, count: rows };
                let out = out.as_mut_ptr().add(first * count * size + column).cast();
                multiply(s, F32, weights, value_panels.as_ptr(), value_shape, out, count * size, &Scale(&inverses));
            }
        }
    }
}

/// Rows to prefetch: each is on its own page, where the hardware does not prefetch.
const AHEAD: usize = 16;

/// Some columns of a row.
#[inline(always)]
fn fetch<'a, S: Simd>(s: S, rows: HeadRows<'a>, row: usize, columns: std::ops::Range<usize>) -> &'a [f32] {
    prefetch(s, rows, row + AHEAD, columns.clone());
    &rows.values[row * rows.stride..][columns]
}

/// Prefetches some columns of a row, which need not exist.
#[inline(always)]
fn prefetch<S: Simd>(s: S, rows: HeadRows, row: usize, columns: std::ops::Range<usize>) {
    let start = rows.values.as_ptr().wrapping_add(row * rows.stride + columns.start);
    (0..columns.len()).step_by(LINE).for_each(|line| s.prefetch(start.wrapping_add(line)));
}

/// Values per cache line.
const LINE: usize = 16;

/// Rows of the tallest register tile.
const MAX_TILE_ROWS: usize = 12;

/// The largest of a row of scores.
/// # Safety
/// `row` is valid for reading `length` values, of which there is at least one.
#[inline(always)]
pub(super) unsafe fn largest_score<S: Simd>(s: S, row: *const f32, length: usize) -> f32 {
    // SAFETY: every read ends at `length` or before.
    unsafe {
        if length < S::LANES {
            return (0..length).fold(f32::NEG_INFINITY, |largest, i| largest.max(*row.add(i)));
        }
        // The last vector overlaps the one before it.
        let mut largest = s.load(row.add(length - S::LANES));
        for i in (0..length - S::LANES).step_by(S::LANES) {
            largest = s.max(largest, s.load(row.add(i)));
        }
        s.largest(largest)
    }
}

/// Replaces scores by `e^(scale·(score − largest))` and returns their sum.
/// # Safety
/// `row` is valid for reading and writing `length` values.
#[inline(always)]
pub(super) unsafe fn exponentials<S: Simd>(s: S, row: *mut f32, length: usize, scale: f32, largest: f32) -> f32 {
    let whole = length / S::LANES * S::LANES;
    let rest = length - whole;
    let (scale, shift) = (s.splat(scale), s.splat(-largest * scale));
    let mut sum = s.splat(0.0);
    // SAFETY: `whole + rest` is the length.
    unsafe {
        for i in (0..whole).step_by(S::LANES) {
            let e = exp(s, s.fma(s.load(row.add(i)), scale, shift));
            s.store(row.add(i), e);
            sum = s.add(sum, e);
        }
        if rest > 0 {
            let e = exp(s, s.fma(s.load_first(row.add(whole), rest), scale, shift));
            s.store_first(row.add(whole), e, rest);
            sum = s.add(sum, s.load_first(row.add(whole), rest));
        }
        s.sum(sum)
    }
}

/// Multiplies each row by a number: the inverse of its sum of exponentials.
struct Scale<'a>(&'a [f32]);

impl<S: Simd> Finish<S> for Scale<'_> {
    #[inline(always)]
    unsafe fn finish(&self, s: S, place: *mut u32, row: usize, _: usize, n: usize) {
        let place = place.cast();
        // SAFETY: the caller's promise.
        unsafe { s.store_up_to(place, s.mul(s.load_up_to(place, n), s.splat(self.0[row])), n) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{boundaries, floats, on_threads, plain_attention, plain_biased_attention};
    use proptest::prelude::*;

    /// `[T, 3·hidden]`, and its parts in double precision. Large scores, so that the softmax has something to do.
    fn inputs(heads: Heads, tokens: usize, seed: u64) -> (Vec<f32>, [Vec<f64>; 3]) {
        let hidden = heads.count * heads.size;
        let qkv: Vec<f32> = floats(seed, tokens * 3 * hidden).iter().map(|x| 3.0 * x).collect();
        let part = |part: usize| {
            qkv.chunks(3 * hidden).flat_map(|row| &row[part * hidden..][..hidden]).map(|x| f64::from(*x)).collect()
        };
        let parts = [part(0), part(1), part(2)];
        (qkv, parts)
    }

    fn run(isa: Isa, precision: Precision, heads: Heads, qkv: &[f32], boundaries: &[u32]) -> Vec<f32> {
        let hidden = heads.count * heads.size;
        let rows = |part: usize| HeadRows { values: qkv.get(part * hidden..).unwrap_or(&[]), stride: 3 * hidden };
        let mut out = vec![f32::NAN; qkv.len() / 3];
        let rows = [rows(0), rows(1), rows(2)];
        attention(isa, precision, heads, rows, boundaries, &mut out, &mut Scratch::new()).expect("fits");
        out
    }

    fn close(out: &[f32], expected: &[f64]) -> bool {
        // Scores reach 9·√size; a relative error of 10⁻⁵ in the exponent, times values up to 3.
        out.iter().zip(expected).all(|(y, e)| (f64::from(*y) - e).abs() <= 1e-4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_level_attends_within_each_sequence(
            lengths in prop::collection::vec(prop_oneof![Just(0usize), Just(1), 2usize..90], 1..6),
            count in 1usize..4, size in 1usize..70, seed: u64,
        ) {
            let heads = Heads { count, size };
            let boundaries = boundaries(&lengths);
            let (qkv, [q, k, v]) = inputs(heads, lengths.iter().sum(), seed);
            let expected = plain_attention(heads, [&q, &k, &v], &boundaries);
            for isa in Isa::available() {
                prop_assert!(close(&run(isa, Precision::F32, heads, &qkv, &boundaries), &expected), "{:?}", isa);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_bias_is_added_by_head_and_distance_whichever_queries_there_are(
            lengths in prop::collection::vec(prop_oneof![Just(0usize), Just(1), 2usize..90], 1..6),
            spare in 0usize..3, count in 1usize..4, size in 1usize..70, seed: u64, keep: u64,
        ) {
            let (heads, hidden) = (Heads { count, size }, count * size);
            let tokens: usize = lengths.iter().sum();
            let boundaries = boundaries(&lengths);
            let (qkv, [q, k, v]) = inputs(heads, tokens, seed);
            let longest = lengths.iter().max().expect("there is one").max(&1) + spare;
            let values: Vec<f32> = floats(seed ^ 1, count * (2 * longest - 1)).iter().map(|x| 4.0 * x).collect();
            let of_distance = |head: usize, distance: isize| {
                f64::from(values[head * (2 * longest - 1) + (longest - 1).wrapping_add_signed(distance)])
            };
            let expected = plain_biased_attention(heads, [&q, &k, &v], &boundaries, of_distance);

            let bias = Some(DistanceBias::new(&values, count).expect("fits"));
            let rows: Vec<u32> = (0..tokens as u32).filter(|row| keep >> (row % 64) & 1 == 1).collect();
            let queries: Vec<u32> =
                boundaries.iter().map(|end| rows.partition_point(|row| row < end) as u32).collect();
            let chosen: Vec<f32> =
                rows.iter().flat_map(|row| &qkv[*row as usize * 3 * hidden..][..hidden]).copied().collect();
            let part = |part: usize| HeadRows { values: qkv.get(part * hidden..).unwrap_or(&[]), stride: 3 * hidden };
            let (key, value) = (part(1), part(2));
            for (isa, precision) in Isa::available().into_iter().flat_map(|isa| isa.precisions().map(move |p| (isa, p))) {
                let run = |query, rows, queries: &[u32]| {
                    let mut out = vec![f32::NAN; queries[lengths.len()] as usize * hidden];
                    let attention = Attention { isa, precision, heads, query, key, value, rows, bias };
                    attention.forward(queries, &boundaries, Shared::new(&mut out), Scratch::new().lanes());
                    out
                };
                let all = run(part(0), None, &boundaries);
                if precision == Precision::F32 {
                    prop_assert!(close(&all, &expected), "{:?}", isa);
                }
                let some = run(HeadRows { values: &chosen, stride: hidden }, Some(&rows), &queries);
                for (row, found) in rows.iter().zip(some.chunks(hidden)) {
                    prop_assert_eq!(found, &all[*row as usize * hidden..][..hidden], "{:?}, row {}", isa, row);
                }
            }
        }
    }

    #[test]
    fn a_bias_must_have_a_value_per_head_and_distance_and_reach_as_far_as_the_sequences() {
        assert!(DistanceBias::new(&[0.0; 6], 2).is_ok_and(|bias| bias.check(&[0, 2, 4]).is_ok()));
        assert!(DistanceBias::new(&[0.0; 6], 2).is_ok_and(|bias| bias.check(&[0, 2, 5]).is_err()));
        for (values, heads) in [(8, 2), (7, 2), (0, 2), (3, 0)] {
            assert!(DistanceBias::new(&vec![0.0; values], heads).is_err(), "{values} values, {heads} heads");
        }
    }

    #[test]
    fn sequences_of_512_tokens_are_attended() {
        let heads = Heads { count: 2, size: 32 };
        let boundaries = boundaries(&[512, 511, 1]);
        let (qkv, [q, k, v]) = inputs(heads, 1024, 3);
        let expected = plain_attention(heads, [&q, &k, &v], &boundaries);
        for isa in Isa::available() {
            assert!(close(&run(isa, Precision::F32, heads, &qkv, &boundaries), &expected), "{isa:?}");
        }
    }

    #[test]
    fn a_sequence_has_the_same_bits_alone_or_in_a_batch_and_on_any_number_of_threads() {
        let heads = Heads { count: 3, size: 20 };
        let lengths = [70, 1, 333, 16, 40];
        let boundaries = boundaries(&lengths);
        let (qkv, _) = inputs(heads, 460, 5);
        for isa in Isa::available() {
            for precision in isa.precisions() {
                let run = |qkv: &[f32], boundaries: &[u32]| run(isa, precision, heads, qkv, boundaries);
                let all = on_threads(1, || run(&qkv, &boundaries));
                // Two and seven threads divide the queries of a pair differently.
                assert_eq!(all, on_threads(2, || run(&qkv, &boundaries)));
                assert_eq!(all, on_threads(7, || run(&qkv, &boundaries)));
                for pair in boundaries.windows(2) {
                    let (start, end) = (pair[0] as usize, pair[1] as usize);
                    let alone = run(&qkv[start * 180..end * 180], &[0, pair[1] - pair[0]]);
                    assert_eq!(alone, all[start * 60..end * 60], "{isa:?}, {precision:?}, {start}..{end}");
                }
            }
        }
    }

    #[test]
    fn boundaries_must_increase_from_zero_to_the_number_of_tokens() {
        for good in [&[0, 4][..], &[0, 0, 2, 4], &[0, 4, 4]] {
            assert!(check_boundaries(good, 4).is_ok(), "{good:?}");
        }
        for bad in [&[][..], &[0], &[0, 5], &[1, 4], &[0, 3, 2, 4], &[0, 3]] {
            assert_eq!(check_boundaries(bad, 4), Err(KernelError::Boundaries { tokens: 4 }), "{bad:?}");
        }
    }
}
