//! Word and position embeddings, summed and normalized.

use super::encoder::NormWeights;
use super::epilogue::Epilogue;
use super::error::{KernelError, check_len};
use super::isa::Isa;
use super::linear::{LinearWeights, PackedLinear};
use super::norm::LayerNorm;
use super::parallel::{Blocks, Shared, for_each};
use super::precision::Precision;
use super::scratch::Scratch;
use super::simd::{Kernel, Simd};

/// Rows per unit of work.
const ROWS: usize = 96;

/// The weights of embeddings besides the words, whose table is large.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingWeights<'a> {
    /// `[positions, embedding]`
    pub positions: &'a [f32],
    /// `[embedding]`, added to each position: the one token type that occurs.
    pub token_type: Option<&'a [f32]>,
    /// Scale and shift of the norm.
    pub norm: NormWeights<'a>,
    /// ε of the norm.
    pub epsilon: f32,
    /// `embedding → hidden`, if the two differ.
    pub projection: Option<LinearWeights<'a>>,
}

/// Token ids and their positions to the hidden states that the first layer reads.
///
/// `W` holds the table of words, `[vocabulary, embedding]`, so that it need not be copied.
#[derive(Clone)]
pub struct Embeddings<W> {
    isa: Isa,
    words: W,
    /// `[positions, embedding]`, with the token type added.
    positions: Vec<f32>,
    norm: LayerNorm,
    projection: Option<PackedLinear>,
}

impl<W: AsRef<[f32]> + Sync> Embeddings<W> {
    /// Prepares embeddings; the projection computes in `f32`.
    ///
    /// # Errors
    /// If the shapes are inconsistent.
    pub fn new(isa: Isa, words: W, weights: &EmbeddingWeights) -> Result<Self, KernelError> {
        let norm = LayerNorm::new(isa, weights.norm.gamma, weights.norm.beta, weights.epsilon)?;
        let width = norm.hidden();
        let whole = |values: &[f32]| values.len() / width * width;
        check_len("table of words", whole(words.as_ref()), words.as_ref().len())?;
        check_len("table of positions", whole(weights.positions), weights.positions.len())?;
        let mut positions = weights.positions.to_vec();
        if let Some(token_type) = weights.token_type {
            check_len("token type", width, token_type.len())?;
            for (at, value) in positions.iter_mut().enumerate() {
                *value += token_type[at % width];
            }
        }
        let pack = |weights: &LinearWeights| PackedLinear::new(isa, Precision::F32, weights);
        let projection = weights.projection.as_ref().map(pack).transpose()?;
        check_len("inputs of the projection", width, projection.as_ref().map_or(width, PackedLinear::inputs))?;
        Ok(Self { isa, words, positions, norm, projection })
    }

    /// Values per row of the result.
    pub fn hidden(&self) -> usize {
        self.projection.as_ref().map_or(self.norm.hidden(), PackedLinear::outputs)
    }

    /// Writes the hidden states (`[T, hidden]`) of tokens at their positions, on all threads of the current pool.
    ///
    /// # Errors
    /// If the lengths differ, or the tables have no row for an id or a position.
    pub fn forward(
        &self,
        ids: &[i32],
        positions: &[i32],
        hidden: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let (width, outputs) = (self.norm.hidden(), self.hidden());
        check_len("positions", ids.len(), positions.len())?;
        check_len("hidden states", ids.len() * outputs, hidden.len())?;
        check_rows("token id", ids, self.words.as_ref().len() / width)?;
        check_rows("position", positions, self.positions.len() / width)?;
        let lanes = scratch.lanes();
        let blocks = Blocks::new(ids.len(), self.isa.tile_rows(), ROWS, lanes.len());
        let hidden = Shared::new(hidden);
        for_each(lanes, blocks.count(), |lane, block| {
            let rows = blocks.rows(block);
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            let out = unsafe { hidden.part(rows.start * outputs..rows.end * outputs) };
            let (ids, positions) = (&ids[rows.clone()], &positions[rows]);
            match &self.projection {
                None => self.rows(ids, positions, out),
                Some(projection) => {
                    let embedded = lane.sum.floats(ids.len() * width);
                    self.rows(ids, positions, embedded);
                    projection.rows(embedded, Epilogue::Bias, out, &mut lane.converted);
                }
            }
        });
        Ok(())
    }

    /// Embeds tokens on this thread. The tables have all of their rows, and `out` is as long as they are together.
    fn rows(&self, ids: &[i32], positions: &[i32], out: &mut [f32]) {
        let (words, width) = (self.words.as_ref(), self.norm.hidden());
        assert!(out.len() == ids.len() * width, "a row for each token");
        self.isa.run(Embed { words, positions: &self.positions, norm: &self.norm, ids, at: positions, out });
    }
}

/// Checks that a table has a row for each number.
fn check_rows(what: &'static str, numbers: &[i32], rows: usize) -> Result<(), KernelError> {
    let has = |number: i32| usize::try_from(number).is_ok_and(|number| number < rows);
    match numbers.iter().find(|number| !has(**number)) {
        None => Ok(()),
        Some(&number) => Err(KernelError::Row { what, number, rows }),
    }
}

/// Tokens whose rows were checked to be in the tables, and as many rows of output.
struct Embed<'a> {
    words: &'a [f32],
    positions: &'a [f32],
    norm: &'a LayerNorm,
    ids: &'a [i32],
    at: &'a [i32],
    out: &'a mut [f32],
}

impl<S: Simd> Kernel<S> for Embed<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let width = self.norm.hidden();
        for ((&id, &at), out) in self.ids.iter().zip(self.at).zip(self.out.chunks_exact_mut(width)) {
            let word = self.words[id as usize * width..][..width].as_ptr();
            let position = self.positions[at as usize * width..][..width].as_ptr();
            // SAFETY: all three rows are `width` values long, and the norm asks for lanes within them.
            unsafe {
                let sum = |i, lanes| s.add(s.load_up_to(word.add(i), lanes), s.load_up_to(position.add(i), lanes));
                self.norm.row(s, sum, out.as_mut_ptr());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::pack::Layout;
    use crate::kernels::testing::{floats, on_threads, plain_norm};
    use proptest::prelude::*;

    const VOCABULARY: usize = 50;
    const POSITIONS: usize = 20;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_level_computes_the_plain_sum_norm_and_projection(
            width in 2usize..100, tokens in 0usize..250, typed: bool, projected: bool, seed: u64,
        ) {
            let outputs = if projected { width + 3 } else { width };
            let [words, positions, token_type, gamma, beta, weight, bias] =
                [VOCABULARY * width, POSITIONS * width, width, width, width, width * outputs, outputs];
            let table = |at: u64, len| floats(seed ^ at, len);
            let (words, positions, token_type) = (table(1, words), table(2, positions), table(3, token_type));
            let (gamma, beta, weight, bias) = (table(4, gamma), table(5, beta), table(6, weight), table(7, bias));
            let projection = LinearWeights { weight: &weight, layout: Layout::OutIn, bias: &bias, inputs: width };
            let weights = EmbeddingWeights {
                positions: &positions,
                token_type: typed.then_some(&token_type[..]),
                norm: NormWeights { gamma: &gamma, beta: &beta },
                epsilon: 1e-3,
                projection: projected.then_some(projection),
            };
            let ids: Vec<i32> = (0..tokens).map(|token| (token * 7 % VOCABULARY) as i32).collect();
            let at: Vec<i32> = (0..tokens).map(|token| (token % POSITIONS) as i32).collect();
            for isa in Isa::available() {
                let embeddings = Embeddings::new(isa, &words[..], &weights).expect("shapes fit");
                let run = |threads| {
                    let mut out = vec![f32::NAN; tokens * outputs];
                    let forward = || embeddings.forward(&ids, &at, &mut out, &mut Scratch::new());
                    on_threads(threads, forward).expect("shapes fit");
                    out
                };
                let out = run(1);
                prop_assert_eq!(&out, &run(3));
                for (token, out) in out.chunks(outputs).enumerate() {
                    let row = |table: &[f32], row: i32, i: usize| f64::from(table[row as usize * width + i]);
                    let sum: Vec<f64> = (0..width)
                        .map(|i| {
                            let kind = if typed { f64::from(token_type[i]) } else { 0.0 };
                            row(&words, ids[token], i) + row(&positions, at[token], i) + kind
                        })
                        .collect();
                    let embedded = plain_norm(&sum, &gamma, &beta, 1e-3);
                    for (o, y) in out.iter().enumerate() {
                        let expected = if projected {
                            let product = |i: usize| embedded[i] * f64::from(weight[o * width + i]);
                            (0..width).map(product).sum::<f64>() + f64::from(bias[o])
                        } else {
                            embedded[o]
                        };
                        let error = (f64::from(*y) - expected).abs();
                        prop_assert!(error <= 1e-4 * (1.0 + expected.abs()), "{:?} {} {}", isa, y, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn ids_and_positions_without_a_row_are_errors() {
        let (words, ones) = ([0.5; 3 * 4], [1.0; 4]);
        let norm = NormWeights { gamma: &ones, beta: &ones };
        let weights =
            EmbeddingWeights { positions: &words[..8], token_type: None, norm, epsilon: 1e-3, projection: None };
        let embeddings = Embeddings::new(Isa::detect(), &words[..], &weights).expect("shapes fit");
        let run = |id, at| embeddings.forward(&[id], &[at], &mut [0.0; 4], &mut Scratch::new());
        assert_eq!(run(2, 1), Ok(()));
        assert_eq!(run(3, 1), Err(KernelError::Row { what: "token id", number: 3, rows: 3 }));
        assert_eq!(run(-1, 1), Err(KernelError::Row { what: "token id", number: -1, rows: 3 }));
        assert_eq!(run(0, 2), Err(KernelError::Row { what: "position", number: 2, rows: 2 }));
    }
}
