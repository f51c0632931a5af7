//! Helpers for tests of the kernels: inputs from a seed, and the plain formulas in double precision.

use super::*;

/// `n` values in −1..1 that follow from a seed.
pub(super) fn floats(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// The boundaries of sequences of these lengths.
pub(super) fn boundaries(lengths: &[usize]) -> Vec<u32> {
    std::iter::once(0)
        .chain(lengths.iter().scan(0, |end, length| {
            *end += *length as u32;
            Some(*end)
        }))
        .collect()
}

/// An activation by its formula.
pub(super) fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        // With erfc, which is accurate in the tail.
        Activation::Gelu | Activation::CoarseGelu => 0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
    }
}

/// `x·W + b` of one row and output, and `1 + Σ|x·w|`, to which errors are relative.
pub(super) fn dot(x: &[f32], weights: &LinearWeights, output: usize) -> (f64, f64) {
    let outputs = weights.bias.len();
    let products = x.iter().enumerate().map(|(input, x)| {
        let w = match weights.layout {
            Layout::OutIn => weights.weight[output * x_len(weights) + input],
            Layout::InOut => weights.weight[input * outputs + output],
        };
        f64::from(*x) * f64::from(w)
    });
    let (sum, size) = products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()));
    (sum + f64::from(weights.bias[output]), 1.0 + size)
}

fn x_len(weights: &LinearWeights) -> usize {
    weights.inputs
}

/// Attention by its formula, in double precision.
pub(super) fn plain_attention(heads: Heads, qkv: [&[f64]; 3], boundaries: &[u32]) -> Vec<f64> {
    plain_biased_attention(heads, qkv, boundaries, |_, _| 0.0)
}

/// The same with an addition to scores by head and distance of the key from the query.
pub(super) fn plain_biased_attention(
    heads: Heads,
    [q, k, v]: [&[f64]; 3],
    boundaries: &[u32],
    bias: impl Fn(usize, isize) -> f64,
) -> Vec<f64> {
    let hidden = heads.count * heads.size;
    let mut out = vec![0.0; q.len()];
    for pair in boundaries.windows(2) {
        for head in 0..heads.count {
            let at = |row: usize| row * hidden + head * heads.size;
            for query in pair[0] as usize..pair[1] as usize {
                let keys = pair[0] as usize..pair[1] as usize;
                let scores: Vec<f64> = keys
                    .clone()
                    .map(|key| {
                        let dot: f64 = (0..heads.size).map(|i| q[at(query) + i] * k[at(key) + i]).sum();
                        dot / (heads.size as f64).sqrt() + bias(head, key as isize - query as isize)
                    })
                    .collect();
                let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
                for (key, score) in keys.zip(&scores) {
                    for i in 0..heads.size {
                        out[at(query) + i] += (score - largest).exp() / total * v[at(key) + i];
                    }
                }
            }
        }
    }
    out
}

/// A layer norm by its formula, in double precision.
pub(super) fn plain_norm(row: &[f64], gamma: &[f32], beta: &[f32], epsilon: f64) -> Vec<f64> {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let affine = gamma.iter().zip(beta).map(|(g, b)| (f64::from(*g), f64::from(*b)));
    row.iter().zip(affine).map(|(x, (g, b))| (x - mean) / (variance + epsilon).sqrt() * g + b).collect()
}

/// Runs on a pool of this many threads.
pub(super) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started").install(work)
}
