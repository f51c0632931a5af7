//! The checkpoint's own tokenizer, from its own files.

use std::path::Path;

use serde_json::Value;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer};

use crate::TokenizeError;

/// Loads `tokenizer.json`, or builds BERT's tokenizer from `vocab.txt` and `tokenizer_config.json`.
///
/// Truncation and padding that the file asks for are switched off: windows are ours.
///
/// # Errors
/// If there is no tokenizer, or it is not usable.
pub(crate) fn load(directory: &Path) -> Result<Tokenizer, TokenizeError> {
    let (json, vocabulary) = (directory.join("tokenizer.json"), directory.join("vocab.txt"));
    let mut tokenizer = if json.is_file() {
        let tokenizer = Tokenizer::from_bytes(read(&json)?);
        tokenizer.map_err(|error| TokenizeError::Invalid { path: json.clone(), problem: error.to_string() })?
    } else if vocabulary.is_file() {
        wordpiece(directory, &vocabulary)?
    } else {
        return Err(TokenizeError::Missing { directory: directory.to_owned() });
    };
    tokenizer.with_padding(None);
    let untruncated = tokenizer.with_truncation(None).map(|_| ());
    untruncated.map_err(|error| TokenizeError::Invalid { path: json, problem: error.to_string() })?;
    Ok(tokenizer)
}

/// BERT's tokenizer as `transformers` sets it up (`BertTokenizer`), its defaults included.
fn wordpiece(directory: &Path, path: &Path) -> Result<Tokenizer, TokenizeError> {
    let settings = Settings::read(&directory.join("tokenizer_config.json"))?;
    let vocabulary = read(path)?;
    build(&settings, &vocabulary)
        .map_err(|error| TokenizeError::Invalid { path: path.to_owned(), problem: error.to_string() })
}

fn build(settings: &Settings, vocabulary: &[u8]) -> tokenizers::Result<Tokenizer> {
    let unknown = settings.token("unk_token", "[UNK]");
    let model = WordPiece::builder().vocab(WordPiece::read_bytes(vocabulary)?).unk_token(unknown.clone()).build()?;
    let mut tokenizer = Tokenizer::new(model);
    let special = |name, default| {
        let token = settings.token(name, default);
        let id = tokenizer.token_to_id(&token).ok_or_else(|| format!("it has no {token}"))?;
        tokenizers::Result::Ok((token, id))
    };
    let (cls, sep) = (special("cls_token", "[CLS]")?, special("sep_token", "[SEP]")?);
    special("unk_token", "[UNK]")?;
    // A text that spells a special token out gets that token. A vocabulary may lack the last two.
    let spelled = [
        cls.0.clone(),
        sep.0.clone(),
        unknown,
        settings.token("pad_token", "[PAD]"),
        settings.token("mask_token", "[MASK]"),
    ];
    let known = spelled.into_iter().filter(|token| tokenizer.token_to_id(token).is_some());
    let known: Vec<_> = known.map(|token| AddedToken::from(token, true)).collect();
    tokenizer.with_normalizer(Some(BertNormalizer::new(
        true,
        settings.flag("tokenize_chinese_chars").unwrap_or(true),
        settings.flag("strip_accents"),
        settings.flag("do_lower_case").unwrap_or(true),
    )))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(BertProcessing::new(sep, cls)));
    tokenizer.add_special_tokens(known)?;
    Ok(tokenizer)
}

/// `tokenizer_config.json`, or nothing where there is none.
struct Settings(Value);

impl Settings {
    fn read(path: &Path) -> Result<Self, TokenizeError> {
        if !path.is_file() {
            return Ok(Self(Value::Null));
        }
        let invalid =
            |error: serde_json::Error| TokenizeError::Invalid { path: path.to_owned(), problem: error.to_string() };
        serde_json::from_slice(&read(path)?).map(Self).map_err(invalid)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0[name].as_bool()
    }

    /// A special token, given as a text or as an object with its content.
    fn token(&self, name: &str, default: &str) -> String {
        let value = &self.0[name];
        value.as_str().or_else(|| value["content"].as_str()).unwrap_or(default).to_owned()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TokenizeError> {
    std::fs::read(path).map_err(|source| TokenizeError::Read { path: path.to_owned(), source })
}
