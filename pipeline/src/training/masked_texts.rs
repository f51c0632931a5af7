//! Texts as a masked language model learns them: contexts of consecutive sentences, tokenized and masked.

use pubtag_corpus::pack;
use pubtag_ner::train::{LanguageModel, MaskedWindow, Masking};
use pubtag_schemas::AnnotatedDocument;
use pubtag_tokenize::{TokenizeError, WindowSize, WindowTokenizer};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::training_set::draw;
use crate::cli::{ContextWords, PretrainArgs};
use crate::digest::sha256;
use crate::exit::Failure;

/// BERT's name for the mask.
const MASK: &str = "[MASK]";

/// How texts are read and masked.
#[derive(Debug)]
pub(crate) struct MaskedTexts {
    tokenizer: WindowTokenizer,
    context: ContextWords,
    masking: Masking,
}

impl MaskedTexts {
    /// Opens the tokenizer of a model.
    ///
    /// # Errors
    /// It is missing or not valid, or has no mask.
    pub(crate) fn new(model: &LanguageModel, args: &PretrainArgs) -> Result<Self, Failure> {
        let encoder = model.encoder();
        let tokenizer = WindowTokenizer::open(model.directory(), WindowSize::of_model(encoder.max_tokens()))?;
        let mask = tokenizer.token_id(MASK).filter(|id| (*id as usize) < encoder.vocab_size);
        let missing = || Failure::configuration(format!("the tokenizer of the base model has no {MASK}"));
        let masking = Masking { mask: mask.ok_or_else(missing)?, vocabulary: encoder.vocab_size, share: args.mask.0 };
        Ok(Self { tokenizer, context: args.context_words, masking })
    }

    /// The windows of documents, cut and masked by random numbers of this seed.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub(crate) fn windows(
        &self,
        documents: &[AnnotatedDocument],
        seed: u64,
    ) -> Result<Vec<MaskedWindow>, TokenizeError> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut windows = Vec::new();
        for context in pack(documents, || draw(self.context, &mut random)) {
            let cut = self.tokenizer.tokenize(&context.text, &[])?.windows.into_iter();
            windows.extend(cut.map(|window| self.masking.window(window, &mut random)));
        }
        Ok(windows)
    }
}

/// Whether a document is held out. Depends on its identifier only, so that it stays held out when texts are added; not on the
/// plain SHA-256 of the identifier, by which texts may have been selected.
pub(crate) fn is_held_out(document: &AnnotatedDocument, share: f64) -> bool {
    /// Hex digits that a double holds exactly.
    const DIGITS: usize = 13;
    let id = document.id.as_ref().map_or(&*document.text, |id| id.as_str());
    let number = u64::from_str_radix(&sha256(format!("held out {id}").as_bytes())[..DIGITS], 16).unwrap_or(u64::MAX);
    (number as f64) < share * 16_f64.powi(DIGITS as i32)
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::DocId;

    use super::*;

    #[test]
    fn about_the_share_of_the_documents_is_held_out_by_their_identifiers() {
        let document =
            |number: usize| AnnotatedDocument { id: Some(DocId::new(number.to_string())), ..Default::default() };
        let count = |share| (0..5000).filter(|number| is_held_out(&document(*number), share)).count();
        assert_eq!(count(0.0), 0);
        assert!(count(0.1).abs_diff(500) < 70, "{}", count(0.1));
        assert!((0..5000).all(|number| !is_held_out(&document(number), 0.1) || is_held_out(&document(number), 0.2)));
    }
}
