//! Attention in bfloat16: queries, keys, values and the weights of the softmax keep 8 significant bits; sums and
//! exponentials are `f32`.
//!
//! Scores are exponents of 2: queries are multiplied by `log₂e/√d` before they are rounded.
//!
//! Rounding queries and keys changes a score by at most `δ = 2⁻⁸·(1 + 2⁻¹⁰)·Σ|q·k|/√d`, and so a weight by a factor of
//! `e^(±2δ)` for the largest δ of the row. Rounding weights and values adds at most `2⁻⁸ + 2·10⁻⁴` of the largest value.

use std::arch::x86_64::*;

use super::{Attention, Heads, MAX_TILE_ROWS, Pair, QUERY_TILES, Scale, fetch, largest_score};
use crate::kernels::bf16::{GROUP, LANES, Pairs, round, round_row};
use crate::kernels::gemm::{Keep, Rows, Shape, multiply};
use crate::kernels::math::polynomial;
use crate::kernels::pack::pack_columns;
use crate::kernels::simd::avx512::{Avx512, BF16};
use crate::kernels::simd::{Kernel, Simd};

/// A pair whose products are of bfloat16.
pub(super) struct Rounded<'a>(pub(super) Pair<'a>);

impl Kernel<Avx512<BF16>> for Rounded<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: Avx512<BF16>) {
        let Pair { attention, head, keys, queries, out, lane } = self.0;
        let Attention { heads: Heads { count, size }, query, key, value, .. } = *attention;
        let column = head * size;
        let columns = column..column + size;
        let (length, words) = (keys.len(), size.div_ceil(GROUP));

        let key_shape = Shape { inner: words, columns: length, panel: 2 * LANES };
        let rounded = lane.converted.words.words(length * words);
        for (row, target) in keys.clone().zip(rounded.chunks_exact_mut(words)) {
            round_row(s, fetch(s, key, row, columns.clone()), 1.0, target);
        }
        let key_panels = lane.keys.words(key_shape.words());
        pack_columns(key_shape, key_panels, |k| &rounded[k * words..][..words]);
        let value_shape = Shape { inner: length.div_ceil(GROUP), columns: size, panel: 2 * LANES };
        let value_panels = lane.values.words(value_shape.words());
        pack_values(s, value_shape, value_panels, |k| {
            if k < length { fetch(s, value, keys.start + k, columns.clone()) } else { &[] }
        });

        // One extra cache line, so that rows do not share cache sets.
        let stride = length.next_multiple_of(2 * LANES) + LANES;
        let block = QUERY_TILES * Avx512::<BF16>::TILE_ROWS;
        let scores = lane.scores.floats(block * stride);
        // The keys have been packed.
        let rounded = lane.converted.words.words(block * words);
        let mut sums = [0.0; QUERY_TILES * MAX_TILE_ROWS];
        let scale = std::f32::consts::LOG2_E / (size as f32).sqrt();
        for first in queries.clone().step_by(block) {
            let rows = block.min(queries.end - first);
            for (row, target) in (first..first + rows).zip(rounded.chunks_exact_mut(words)) {
                round_row(s, fetch(s, query, row, columns.clone()), scale, target);
            }
            // SAFETY: the scores hold `rows` rows, the panels have these shapes, and the head's columns of these rows of
            // `out` are this call's alone.
            unsafe {
                let query_rows: Rows = Rows { start: rounded.as_ptr(), stride: words, count: rows };
                let table = scores.as_mut_ptr();
                multiply(s, Pairs, query_rows, key_panels.as_ptr(), key_shape, table.cast(), stride, &Keep);
                attention.add_bias(s, std::f32::consts::LOG2_E, head, &keys, first..first + rows, (table, stride));
                // All maxima first, so that the processor can work on several rows at once.
                for (row, largest) in sums.iter_mut().enumerate().take(rows) {
                    *largest = largest_score(s, table.add(row * stride), length);
                }
                for (row, sum) in sums.iter_mut().enumerate().take(rows) {
                    *sum = powers(s, table.add(row * stride), length, *sum);
                }
                let inverses = sums.map(|sum| 1.0 / sum);
                let weights: Rows = Rows { start: table.cast(), stride, count: rows };
                let out = out.as_mut_ptr().add(first * count * size + column).cast();
                multiply(s, Pairs, weights, value_panels.as_ptr(), value_shape, out, count * size, &Scale(&inverses));
            }
        }
    }
}

/// Fills panels of values: a word holds the same column of two consecutive rows. Rows past the end are empty.
#[inline(always)]
fn pack_values<'a>(s: Avx512<BF16>, shape: Shape, panels: &mut [u32], row: impl Fn(usize) -> &'a [f32]) {
    for number in 0..shape.panels() {
        let (inner, columns) = shape.nth_panel(number);
        let panel = &mut panels[shape.index(inner.start, columns.start)..][..inner.len() * shape.panel];
        for (word, places) in inner.zip(panel.chunks_exact_mut(shape.panel)) {
            let (even, odd) = (row(GROUP * word), row(GROUP * word + 1));
            for (at, places) in columns.clone().step_by(LANES).zip(places.chunks_exact_mut(LANES)) {
                let part = at..columns.end.min(at + LANES);
                let odd = odd.get(part.clone()).unwrap_or(&[]);
                // SAFETY: both slices are read for their own length, and `places` has the length of a vector.
                unsafe {
                    let even = s.load_up_to(even[part].as_ptr(), columns.end.min(at + LANES) - at);
                    let odd = s.load_up_to(odd.as_ptr(), odd.len());
                    s.store_words(places.as_mut_ptr(), interleaved(round(s, even, odd)));
                }
            }
        }
    }
}

/// Of 32 bfloat16 values, each of the first 16 followed by its counterpart of the others.
#[inline(always)]
unsafe fn interleaved(values: __m512i) -> __m512i {
    // SAFETY: the caller's vectors prove that the processor has AVX-512 BW.
    unsafe {
        let order = _mm512_cvtepu16_epi32(_mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        let seconds = _mm512_slli_epi32::<16>(_mm512_add_epi32(order, _mm512_set1_epi32(LANES as i32)));
        _mm512_permutexvar_epi16(_mm512_or_si512(order, seconds), values)
    }
}

/// Replaces scores by `2^(score − largest)` in bfloat16, two per word; returns the sum of the powers before rounding.
/// # Safety
/// `row` is valid for reading and writing `length` values, rounded up to whole vectors.
#[inline(always)]
unsafe fn powers(s: Avx512<BF16>, row: *mut f32, length: usize, largest: f32) -> f32 {
    let largest = s.splat(largest);
    let mut sums = [s.splat(0.0); 2];
    let whole = length - length % (2 * LANES);
    // SAFETY: only scores are read; words are written behind the scores that are still to be read.
    unsafe {
        for at in (0..whole).step_by(2 * LANES) {
            let scores = [s.load(row.add(at)), s.load(row.add(at + LANES))];
            powers_of_two_vectors(s, scores, largest, &mut sums, row.add(at / GROUP).cast());
        }
        if whole < length {
            let left = length - whole;
            let scores = [
                first_scores(s, row.add(whole), left),
                first_scores(s, row.add(whole + LANES), left.saturating_sub(LANES)),
            ];
            powers_of_two_vectors(s, scores, largest, &mut sums, row.add(whole / GROUP).cast());
        }
    }
    s.sum(s.add(sums[0], sums[1]))
}

/// Writes the powers of two vectors of scores as one of words, and adds them to `sums`.
/// # Safety
/// `words` is valid for writing a vector.
#[inline(always)]
unsafe fn powers_of_two_vectors(
    s: Avx512<BF16>,
    scores: [__m512; 2],
    largest: __m512,
    sums: &mut [__m512; 2],
    words: *mut u32,
) {
    let [low, high] = [power(s, s.sub(scores[0], largest)), power(s, s.sub(scores[1], largest))];
    *sums = [s.add(sums[0], low), s.add(sums[1], high)];
    // SAFETY: the caller's promise.
    unsafe { s.store_words(words, round(s, low, high)) }
}

/// Reads the first `left` scores of a vector; the others are −∞.
/// # Safety
/// `p` is valid for reading as many.
#[inline(always)]
unsafe fn first_scores(s: Avx512<BF16>, p: *const f32, left: usize) -> __m512 {
    let mask = if left < LANES { (1 << left) - 1 } else { u16::MAX };
    // SAFETY: the caller's promise; `s` proves that the processor has the instruction.
    unsafe { _mm512_mask_loadu_ps(s.splat(f32::NEG_INFINITY), mask, p) }
}

/// `2ʳ` for 0 ≤ r < 1, to 7.5·10⁻⁵ of it.
const POWER: [f32; 4] = [0.999_925_2, 0.695_833_56, 0.226_067_15, 0.078_024_52];
/// `vreduceps`: subtracts the next lower integer, without exceptions.
const FRACTION: i32 = 0x09;

/// `2ˣ` for x ≤ 0, to 8·10⁻⁵ of it; 0 for −∞, and NaN for NaN.
#[inline(always)]
fn power(s: Avx512<BF16>, x: __m512) -> __m512 {
    // SAFETY: `s` proves that the processor has the instructions. `vscalefps` rounds its exponent down.
    unsafe { _mm512_scalef_ps(polynomial(s, _mm512_reduce_ps::<FRACTION>(x), &POWER), x) }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use crate::kernels::testing::{boundaries, floats, plain_attention};
    use crate::kernels::{HeadRows, Heads, Isa, Precision, Scratch, attention};

    /// Rows of three parts, `[T, 3·hidden]`, and the parts, rounded as by the kernel or not at all.
    fn parts(qkv: &[f32], hidden: usize, round: impl Fn(usize, f32) -> f64) -> [Vec<f64>; 3] {
        [0, 1, 2].map(|part| {
            let rows = qkv.chunks(3 * hidden).flat_map(|row| &row[part * hidden..][..hidden]);
            rows.map(|x| round(part, *x)).collect()
        })
    }

    /// The largest `Σ|q·k|/√d` of a head.
    fn largest_score([q, k]: [&[f64]; 2], heads: Heads) -> f64 {
        let rows = |values| <[f64]>::chunks(values, heads.size);
        let of_head = |head: usize| rows(q).skip(head).step_by(heads.count);
        let scores = (0..heads.count).flat_map(|head| {
            let keys = move || rows(k).skip(head).step_by(heads.count);
            of_head(head).flat_map(move |q| keys().map(|k| q.iter().zip(k).map(|(q, k)| (q * k).abs()).sum::<f64>()))
        });
        scores.fold(0.0, f64::max) / (heads.size as f64).sqrt()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn results_stay_within_the_stated_bound(
            lengths in prop::collection::vec(prop_oneof![Just(0usize), Just(1), 2usize..90], 1..5),
            count in 1usize..4, size in 1usize..70, spread in 0.1f32..3.0, seed: u64,
        ) {
            let isa = Isa::detect();
            if !isa.has_bf16_dot() {
                return Ok(());
            }
            let (heads, boundaries, tokens) = (Heads { count, size }, boundaries(&lengths), lengths.iter().sum::<usize>());
            let hidden = count * size;
            let qkv: Vec<f32> = floats(seed, tokens * 3 * hidden).iter().map(|x| spread * x).collect();
            let rows = [0, 1, 2].map(|part| HeadRows { values: qkv.get(part * hidden..).unwrap_or(&[]), stride: 3 * hidden });
            let mut out = vec![f32::NAN; tokens * hidden];
            attention(isa, Precision::Int8, heads, rows, &boundaries, &mut out, &mut Scratch::new()).expect("fits");
            let near = |[q, k, v]: [Vec<f64>; 3], bound: f64| {
                let expected = plain_attention(heads, [&q, &k, &v], &boundaries);
                out.iter().zip(&expected).map(|(y, e)| (f64::from(*y) - e).abs()).fold(0.0, f64::max) <= bound
            };
            let plain = parts(&qkv, hidden, |_, x| f64::from(x));
            let delta = (1.0 + 1.0 / 1024.0) / 256.0 * largest_score([&plain[0], &plain[1]], heads);
            let of_weights = 1.0 / 256.0 + 2e-4;
            prop_assert!(near(plain, f64::from(spread) * ((2.0 * delta).exp_m1() + of_weights)));
            // Of values that are rounded already, only the weights are rounded.
            let scale = std::f32::consts::LOG2_E / (size as f32).sqrt();
            let rounded = parts(&qkv, hidden, |part, x| match part {
                0 => f64::from(bf16::from_f32(x * scale).to_f32()) / f64::from(scale),
                _ => f64::from(bf16::from_f32(x).to_f32()),
            });
            prop_assert!(near(rounded, f64::from(spread) * of_weights));
        }
    }

    #[test]
    fn scores_far_apart_leave_one_weight() {
        let isa = Isa::detect();
        let heads = Heads { count: 1, size: 2 };
        // The keys of 40 rows are 0 but one, which the queries point at.
        let qkv: Vec<f32> =
            (0..40).flat_map(|row| [30.0, 0.0, if row == 33 { 30.0 } else { 0.0 }, 0.0, row as f32, 1.0]).collect();
        let rows = [0, 2, 4].map(|part| HeadRows { values: &qkv[part..], stride: 6 });
        let mut out = [0.0; 80];
        attention(isa, Precision::Int8, heads, rows, &[0, 40], &mut out, &mut Scratch::new()).expect("fits");
        assert!(out.chunks(2).all(|row| (row[0] - 33.0).abs() < 0.01 && (row[1] - 1.0).abs() < 1e-3), "{out:?}");
    }
}
