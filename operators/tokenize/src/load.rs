//! Loads a checkpoint's tokenizer.

use std::borrow::Cow;

use pubtag_schemas::ModelFiles;
use pubtag_stream::without_panic;
use serde_json::Value;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer};

use crate::TokenizeError;

/// The tokenizer in the format of the `tokenizers` library.
const JSON: &str = "tokenizer.json";
/// BERT's vocabulary, and the settings of its tokenizer.
const VOCABULARY: &str = "vocab.txt";
const SETTINGS: &str = "tokenizer_config.json";

/// Settings of BERT's tokenizer, and their names in `tokenizer.json`.
const NORMALIZER: [(&str, &str); 3] = [
    ("do_lower_case", "lowercase"),
    ("strip_accents", "strip_accents"),
    ("tokenize_chinese_chars", "handle_chinese_chars"),
];

/// Loads `tokenizer.json`, or builds BERT's tokenizer from `vocab.txt` and `tokenizer_config.json`.
///
/// Truncation and padding in the file are disabled, since windows are cut here.
///
/// # Errors
/// If there is no tokenizer, or it is invalid.
pub(crate) fn load(files: &ModelFiles) -> Result<Tokenizer, TokenizeError> {
    let mut tokenizer = if files.has(JSON) {
        let settings = Settings::read(files)?;
        parse(&settings, &read(files, JSON)?).map_err(|error| invalid(files, JSON, error))?
    } else if files.has(VOCABULARY) {
        let settings = Settings::read(files)?;
        build(&settings, &read(files, VOCABULARY)?).map_err(|error| invalid(files, VOCABULARY, error))?
    } else {
        return Err(TokenizeError::Missing { directory: files.place() });
    };
    tokenizer.with_padding(None);
    let untruncated = tokenizer.with_truncation(None).map(|_| ());
    untruncated.map_err(|error| invalid(files, JSON, error))?;
    Ok(tokenizer)
}

/// Reads `tokenizer.json` without the decoder, which is not needed. As in `transformers`, BERT's settings take precedence.
///
/// The library panics at some invalid parts.
fn parse(settings: &Settings, json: &[u8]) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer: Value = serde_json::from_slice(json)?;
    if let Some(decoder) = tokenizer.get_mut("decoder") {
        *decoder = Value::Null;
    }
    if let Some(normalizer) = tokenizer.get_mut("normalizer").filter(|one| one["type"] == "BertNormalizer") {
        for (setting, name) in NORMALIZER {
            if let Some(value) = settings.0.get(setting) {
                normalizer[name] = value.clone();
            }
        }
    }
    let whole = serde_json::to_vec(&tokenizer)?;
    without_panic(|| Tokenizer::from_bytes(whole))?
}

/// BERT's tokenizer with the defaults of `transformers` (`BertTokenizer`).
fn build(settings: &Settings, vocabulary: &[u8]) -> tokenizers::Result<Tokenizer> {
    let unknown = settings.token("unk_token", "[UNK]");
    let model = WordPiece::builder().vocab(WordPiece::read_bytes(vocabulary)?).unk_token(unknown.clone()).build()?;
    let mut tokenizer = Tokenizer::new(model);
    let special = |name, default| {
        let token = settings.token(name, default);
        let id = tokenizer.token_to_id(&token).ok_or_else(|| format!("{token} is missing"))?;
        tokenizers::Result::Ok((token, id))
    };
    let (cls, sep) = (special("cls_token", "[CLS]")?, special("sep_token", "[SEP]")?);
    special("unk_token", "[UNK]")?;
    // Text that contains a special token gets that token. The last two are optional.
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

/// `tokenizer_config.json`, or `null` if there is none.
struct Settings(Value);

impl Settings {
    fn read(files: &ModelFiles) -> Result<Self, TokenizeError> {
        if !files.has(SETTINGS) {
            return Ok(Self(Value::Null));
        }
        serde_json::from_slice(&read(files, SETTINGS)?).map(Self).map_err(|error| invalid(files, SETTINGS, error))
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0[name].as_bool()
    }

    /// A special token, given as a string or as an object with `content`.
    fn token(&self, name: &str, default: &str) -> String {
        let value = &self.0[name];
        value.as_str().or_else(|| value["content"].as_str()).unwrap_or(default).to_owned()
    }
}

fn read(files: &ModelFiles, name: &str) -> Result<Cow<'static, [u8]>, TokenizeError> {
    files.read(name).map_err(|source| TokenizeError::Read { path: files.path(name), source })
}

fn invalid(files: &ModelFiles, name: &str, error: impl std::fmt::Display) -> TokenizeError {
    TokenizeError::Invalid { path: files.path(name), problem: error.to_string() }
}
