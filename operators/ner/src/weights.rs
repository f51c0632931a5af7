//! Parameters from a safetensors file: nothing missing, nothing left over, every shape as configured.
//!
//! Parameters have BERT's names without the model's prefix (`encoder.layer.0.output.dense.weight`). RoBERTa and ELECTRA
//! use the same names; [`DISTILBERT`] and [`MPNET`] map those of DistilBERT and MPNet. Files from before 2019 call a LayerNorm's parameters `gamma` and
//! `beta`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::NerError;
use crate::config::{DISTANCE_BIAS, EncoderConfig, Family, Shape};

/// BERT's and DistilBERT's names for the modules of a layer.
const DISTILBERT: [(&str, &str); 8] = [
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("output.dense", "ffn.lin2"),
    ("output.LayerNorm", "output_layer_norm"),
];

/// BERT's and MPNet's names for the modules of a layer that differ.
const MPNET: [(&str, &str); 5] = [
    ("attention.self.query", "attention.attn.q"),
    ("attention.self.key", "attention.attn.k"),
    ("attention.self.value", "attention.attn.v"),
    ("attention.output.dense", "attention.attn.o"),
    ("attention.output.LayerNorm", "attention.LayerNorm"),
];

/// Tensors that a file may contain but the model does not use.
const IGNORABLE: [&str; 4] =
    ["pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids", "embeddings.token_type_ids"];

/// The prefixes of heads, which are beside the encoder and not in it.
const HEADS: [&str; 2] = ["classifier.", "cls."];

/// Tables, which are not transposed: embeddings and MPNet's additions to attention scores.
const TABLES: [&str; 2] = ["embeddings.", DISTANCE_BIAS];

/// Supported types of weights.
const FLOATS: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

/// Every parameter of a model, as 32-bit floats on the host; each can be taken once. Files have the matrices of linear layers
/// as `[out, in]`, the model has them as `[in, out]`.
#[derive(Debug)]
pub(crate) struct Weights {
    parameters: BTreeMap<String, Vec<f32>>,
}

impl Weights {
    /// Checks that a file's tensors match a configuration, without reading their values. After that, sizes in the
    /// configuration are bounded by the file's. `path` is for error messages.
    ///
    /// # Errors
    /// If the tensors differ from the model's in any way; the error lists the differences.
    pub(crate) fn check(bytes: &[u8], path: &Path, encoder: &EncoderConfig, head: Vec<Shape>) -> Result<(), NerError> {
        tensors(bytes, path, encoder, head).map(drop)
    }

    /// Reads the parameters of a model, on all threads of the current pool.
    ///
    /// # Errors
    /// As [`check`](Self::check), and if a value is NaN or infinite.
    pub(crate) fn parse(
        bytes: &[u8],
        path: &Path,
        encoder: &EncoderConfig,
        head: Vec<Shape>,
    ) -> Result<Self, NerError> {
        let read = |(name, tensor): (String, TensorView<'_>)| {
            let values = match *tensor.shape() {
                [outputs, inputs] if !TABLES.iter().any(|table| name.starts_with(table)) => {
                    transposed(&tensor, outputs, inputs)
                }
                _ => floats(&tensor),
            };
            // Without a branch, so that it is done for many values at once.
            if values.iter().fold(true, |all, value| all & value.is_finite()) {
                return Ok((name, values));
            }
            Err(NerError::BadWeights { path: path.to_owned(), tensor: file_name(encoder.family, &name) })
        };
        let parameters = tensors(bytes, path, encoder, head)?.into_par_iter().map(read);
        Ok(Self { parameters: parameters.collect::<Result<_, _>>()? })
    }

    /// Takes a parameter by its name: a vector, a table of embeddings, or the `[in, out]` matrix of a linear layer.
    pub(crate) fn take(&mut self, name: &str) -> Vec<f32> {
        self.parameters
            .remove(name)
            .expect("`EncoderConfig::parameters` and the head list every name that the model asks for, each once")
    }
}

/// The tensors of a file, by parameter name.
fn tensors<'a>(
    bytes: &'a [u8],
    path: &Path,
    encoder: &EncoderConfig,
    head: Vec<Shape>,
) -> Result<BTreeMap<String, TensorView<'a>>, NerError> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|source| NerError::Safetensors { path: path.to_owned(), source })?;
    let mut found = by_modern_name(&file);
    let differ = |problems: &[String]| Err(NerError::Tensors { path: path.to_owned(), problems: summary(problems) });
    // Each layer has its own tensors, and the list of names is as long as the configuration says.
    if encoder.layers > found.len() {
        return differ(&[format!("{} tensors are too few for {} layers", found.len(), encoder.layers)]);
    }
    let (mut tensors, mut problems) = (BTreeMap::new(), Vec::new());
    for (name, shape) in encoder.parameters().into_iter().chain(head) {
        let file_name = file_name(encoder.family, &name);
        match found.remove(&file_name) {
            None => problems.push(format!("{file_name} is missing")),
            Some(tensor) if tensor.shape() != shape => {
                problems.push(format!("{file_name} has shape {:?}, expected {shape:?}", tensor.shape()));
            }
            Some(tensor) if !FLOATS.contains(&tensor.dtype()) => {
                problems.push(format!("{file_name} has type {}, expected F32, F16 or BF16", tensor.dtype()));
            }
            Some(tensor) => {
                tensors.insert(name, tensor);
            }
        }
    }
    let ignorable: BTreeSet<String> = IGNORABLE.iter().map(|name| file_name(encoder.family, name)).collect();
    let unknown = found.keys().filter(|name| !ignorable.contains(*name));
    problems.extend(unknown.map(|name| format!("{name} is not part of the model")));
    if problems.is_empty() { Ok(tensors) } else { differ(&problems) }
}

/// Lists the first differences and counts the rest: a wrong prefix causes hundreds.
fn summary(problems: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = problems.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match problems.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// The name of a parameter in files of a family.
pub(crate) fn file_name(family: Family, name: &str) -> String {
    let prefix = match family {
        _ if HEADS.iter().any(|head| name.starts_with(head)) => return name.to_owned(),
        Family::Bert => "bert",
        Family::Roberta => "roberta",
        Family::Electra => "electra",
        Family::DistilBert => return format!("distilbert.{}", renamed(name, "transformer.layer", &DISTILBERT)),
        Family::Mpnet => return format!("mpnet.{}", renamed(name, "encoder.layer", &MPNET)),
    };
    format!("{prefix}.{name}")
}

/// A parameter's name where layers are under `layers` and these modules have other names.
fn renamed(name: &str, layers: &str, modules: &[(&str, &str)]) -> String {
    let of_layer = || {
        let (layer, parameter) = name.strip_prefix("encoder.layer.")?.split_once('.')?;
        let (module, kind) = parameter.rsplit_once('.')?;
        let theirs = modules.iter().find(|(ours, _)| *ours == module).map_or(module, |(_, theirs)| theirs);
        Some(format!("{layers}.{layer}.{theirs}.{kind}"))
    };
    of_layer().unwrap_or_else(|| name.to_owned())
}

fn by_modern_name<'a>(file: &SafeTensors<'a>) -> BTreeMap<String, TensorView<'a>> {
    let modern = |name: String| match name.rsplit_once("LayerNorm.") {
        Some((module, "gamma")) => format!("{module}LayerNorm.weight"),
        Some((module, "beta")) => format!("{module}LayerNorm.bias"),
        _ => name,
    };
    file.tensors().into_iter().map(|(name, tensor)| (modern(name), tensor)).collect()
}

/// The values of a tensor of one of the [`FLOATS`], as 32-bit floats.
fn floats(tensor: &TensorView<'_>) -> Vec<f32> {
    let mut values = vec![0.0; tensor.shape().iter().product()];
    widen(tensor.dtype(), tensor.data(), &mut values);
    values
}

/// A matrix `[rows, columns]` as `[columns, rows]`, in strips and tiles that fit into the cache.
fn transposed(tensor: &TensorView<'_>, rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let row_bytes = tensor.data().len() / rows.max(1);
    let (mut strip, mut result) = (vec![0.0; TILE * columns], vec![0.0; rows * columns]);
    for (number, bytes) in tensor.data().chunks((TILE * row_bytes).max(1)).enumerate() {
        let (top, height) = (number * TILE, bytes.len() / row_bytes);
        widen(tensor.dtype(), bytes, &mut strip);
        for left in (0..columns).step_by(TILE) {
            for column in left..columns.min(left + TILE) {
                let places = &mut result[column * rows + top..][..height];
                places.iter_mut().zip(strip.iter().skip(column).step_by(columns)).for_each(|(to, from)| *to = *from);
            }
        }
    }
    result
}

/// Converts values of one of the [`FLOATS`] to 32 bits.
fn widen(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        Dtype::F16 => widen_halves(bytes, out, f16::from_le_bytes),
        Dtype::BF16 => widen_halves(bytes, out, bf16::from_le_bytes),
        _ => {
            let (words, _) = bytes.as_chunks::<4>();
            out.iter_mut().zip(words).for_each(|(to, word)| *to = f32::from_le_bytes(*word));
        }
    }
}

/// Converts a piece at a time: the bytes of a file may not be aligned.
fn widen_halves<H: Copy + Default>(bytes: &[u8], out: &mut [f32], half: impl Fn([u8; 2]) -> H)
where
    [H]: HalfFloatSliceExt,
{
    const PIECE: usize = 256;
    let mut piece = [H::default(); PIECE];
    let (halves, _) = bytes.as_chunks::<2>();
    for (halves, out) in halves.chunks(PIECE).zip(out.chunks_mut(PIECE)) {
        let piece = &mut piece[..halves.len()];
        piece.iter_mut().zip(halves).for_each(|(value, bytes)| *value = half(*bytes));
        piece.convert_to_f32_slice(&mut out[..halves.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_its_own_names_for_parameters() {
        let name = "encoder.layer.3.output.LayerNorm.bias";
        assert_eq!(file_name(Family::Electra, name), "electra.encoder.layer.3.output.LayerNorm.bias");
        assert_eq!(file_name(Family::DistilBert, name), "distilbert.transformer.layer.3.output_layer_norm.bias");
        let embedding = "embeddings.word_embeddings.weight";
        assert_eq!(file_name(Family::DistilBert, embedding), "distilbert.embeddings.word_embeddings.weight");
        assert_eq!(file_name(Family::Roberta, "classifier.bias"), "classifier.bias");
        assert_eq!(file_name(Family::Mpnet, name), "mpnet.encoder.layer.3.output.LayerNorm.bias");
        let query = "encoder.layer.0.attention.self.query.weight";
        assert_eq!(file_name(Family::Mpnet, query), "mpnet.encoder.layer.0.attention.attn.q.weight");
    }

    #[test]
    fn values_of_every_type_are_widened_and_matrices_transposed_across_tile_borders() {
        for (rows, columns) in [(1, 1), (33, 70), (64, 300), (3, 32), (100, 1)] {
            // Whole numbers up to 240, which every type has.
            let values: Vec<f32> = (0..rows * columns).map(|at| (at * 7 % 241) as f32).collect();
            let bytes_of = |dtype| -> Vec<u8> {
                let bytes = |value: &f32| match dtype {
                    Dtype::F16 => f16::from_f32(*value).to_le_bytes().to_vec(),
                    Dtype::BF16 => bf16::from_f32(*value).to_le_bytes().to_vec(),
                    _ => value.to_le_bytes().to_vec(),
                };
                values.iter().flat_map(bytes).collect()
            };
            for dtype in FLOATS {
                let bytes = bytes_of(dtype);
                let tensor = TensorView::new(dtype, vec![rows, columns], &bytes).unwrap();
                assert_eq!(floats(&tensor), values, "{dtype:?} {rows} × {columns}");
                let result = transposed(&tensor, rows, columns);
                for (at, value) in values.iter().enumerate() {
                    assert_eq!(
                        result[at % columns * rows + at / columns],
                        *value,
                        "{dtype:?} {rows} × {columns}, {at}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_long_list_of_differences_is_shortened_and_counted() {
        let problems: Vec<_> = (0..20).map(|i| format!("t{i} is missing")).collect();
        let text = summary(&problems);
        assert!(text.ends_with("t11 is missing; and 8 more"), "{text}");
    }
}
