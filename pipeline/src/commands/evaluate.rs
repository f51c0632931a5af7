//! `pubtag evaluate`: one corpus in detail, or several in a table.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;

use pubtag_corpus::score::bootstrap::{Bootstrap, Interval};
use pubtag_corpus::score::errors::{ErrorList, Side, SpanError};
use pubtag_corpus::score::spans::{self, Match};
use pubtag_corpus::score::tags::{self, Mode, TokenTable};
use pubtag_corpus::score::{Score, ScoreError, Scores, errors};
use pubtag_corpus::{
    CorpusSpec, Gold, Labels, PackedContext, WholeFile, categories, iob2, is_ncbi, pack, sentence_tags,
};
use pubtag_ner::{Aggregation, Checkpoint, Decoding, Precision};
use pubtag_schemas::{AnnotatedDocument, Annotation, CitationText, Layout, Mention};
use pubtag_tokenize::Context;
use serde::Serialize;

use crate::bundled::named_or_bundled;
use crate::cli::EvaluateArgs;
use crate::config::tags_abbreviations;
use crate::device::{self, DeviceConfig, use_threads};
use crate::exit::Failure;
use crate::terminal;
use crate::tokenizer;
use crate::training::card::Seen;
use crate::training::corpora::{keep_types, read_gold, refuse_weight};
use crate::training::predict::{returned, tagged};

/// The scores of a model on a corpus.
#[derive(Debug, Serialize)]
struct Evaluation {
    model: String,
    /// SHA-256 of the model's files.
    model_fingerprint: String,
    gold: String,
    gold_sha256: Option<String>,
    documents: usize,
    sentences: usize,
    tokens: usize,
    mentions: usize,
    /// Types of the corpus that the model does not know; their mentions are ignored.
    not_scored: Vec<String>,
    decode: String,
    aggregation: String,
    precision: String,
    /// How the model read the corpus.
    reading: String,
    /// Whether abbreviations were tagged by their definitions.
    abbreviations: bool,
    /// Whole entities on the corpus's tokens, as conlleval and seqeval's default count them.
    entities: Scores,
    /// 95% confidence interval of their micro F1, from 1000 samples of sentences.
    entities_interval: Interval,
    /// The same with seqeval's `mode="strict", scheme=IOB2`.
    entities_strict_iob2: Scores,
    /// The same with the four categories of the NCBI Disease corpus merged; absent if the corpus has none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    entities_as_one_category: Option<Scores>,
    /// Spans of text; absent if the corpus has only tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    spans_strict: Option<Scores>,
    /// The same, where overlap is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    spans_overlapping: Option<Scores>,
    /// Single tokens, as in NeMo's report. Not comparable with entity scores.
    single_tokens: TokenTable,
    /// The model's errors.
    errors: ErrorList,
}

/// Evaluates and prints.
///
/// # Errors
/// The model or a corpus cannot be used, or the model was trained on a corpus or knows none of its types.
pub fn execute(args: &EvaluateArgs) -> Result<io::Result<()>, Failure> {
    if args.predictions.is_some() && args.gold.len() > 1 {
        return Err(Failure::configuration("--predictions requires a single --gold corpus"));
    }
    use_threads(DeviceConfig::check(args.device.clone()).threads)?;
    let checkpoint = Checkpoint::open(named_or_bundled(args.model.clone())?)?;
    let corpora = args.gold.iter().map(|corpus| read(corpus, args, &checkpoint)).collect::<Result<Vec<_>, _>>()?;
    let mut predictions = args.predictions.as_deref().map(|path| begin_predictions(path, args)).transpose()?;
    let measure = |target: &Target| -> Result<Evaluation, Failure> {
        let gold = &target.gold;
        let found = predict(args, gold, &checkpoint)?;
        if let Some((path, mut file)) = args.predictions.as_deref().zip(predictions.take()) {
            let written = file.write_all(columns(&gold.documents, &found).as_bytes()).and_then(|()| file.finish());
            written.map_err(|error| Failure::write(path, error))?;
        }
        Ok(evaluate(args, target, &checkpoint, &found)?)
    };
    let evaluations = corpora.iter().map(measure).collect::<Result<Vec<_>, _>>()?;
    let text = match (&evaluations[..], args.json) {
        ([one], true) => json(one)?,
        (several, true) => json(&several)?,
        ([one], false) => page(one, args.errors),
        (several, false) => comparison(several),
    };
    Ok(terminal::print(&text))
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(text + "\n")
}

/// A corpus to score a model on.
struct Target {
    /// The corpus, with only the mentions of types that the model knows.
    gold: Gold,
    /// The other types of the corpus.
    not_scored: Vec<String>,
}

/// Reads a corpus and keeps the types that the model knows.
fn read(corpus: &CorpusSpec, args: &EvaluateArgs, checkpoint: &Checkpoint) -> Result<Target, Failure> {
    refuse_weight(corpus, "--gold")?;
    let mut gold = read_gold(corpus, args.from.map(Into::into), args.labels.into())?;
    if !args.allow_training_data && Seen::by(checkpoint.origin()).contains(&gold) {
        return Err(Failure::configuration(format!(
            "{} was trained on {}; evaluate on another file, or use --allow-training-data",
            checkpoint.name(),
            gold.corpus.path.display()
        )));
    }
    let known =
        checkpoint.labels().entity_types().iter().map(|name| Labels::from(args.labels).name_of(name).to_owned());
    let not_scored = keep_types(&mut gold, &known.collect::<Vec<_>>(), "the model does not know them")?;
    Ok(Target { gold, not_scored })
}

/// Opens the predictions file. Never replaces the corpora or the model, and other files only with --overwrite.
fn begin_predictions(path: &Path, args: &EvaluateArgs) -> Result<WholeFile, Failure> {
    let within = |read: &Path| match (path.canonicalize(), read.canonicalize()) {
        (Ok(path), Ok(read)) => path.starts_with(read),
        _ => false,
    };
    if args.gold.iter().any(|corpus| within(&corpus.path)) || args.model.as_deref().is_some_and(within) {
        return Err(Failure::configuration(format!(
            "{}: is an input of this command; choose another file",
            path.display()
        )));
    }
    let file = if args.overwrite { WholeFile::replacing(path) } else { WholeFile::new(path) };
    file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::configuration(format!(
            "{}: already exists; choose another file, or use --overwrite",
            path.display()
        )),
        _ => Failure::write(path, error),
    })
}

/// The documents with the model's mentions of the types that the corpus annotates, found by the stages of a run.
fn predict(args: &EvaluateArgs, gold: &Gold, checkpoint: &Checkpoint) -> Result<Vec<AnnotatedDocument>, Failure> {
    let device = DeviceConfig::check(args.device.clone());
    let (_, tag) = device::start(&device, checkpoint, args.aggregation.into(), args.decode.into())?;
    let tokenizer = tokenizer::open(checkpoint)?;
    let mut found = match reading(args, gold, checkpoint) {
        Reading::Run(context) => {
            let of_parts = |document: &AnnotatedDocument| {
                CitationText::of_parts(&document.text, document.passages.iter().map(|passage| passage.bytes.clone()))
            };
            let texts: Vec<CitationText> = gold.documents.iter().map(of_parts).collect();
            let mut found = tagged(texts.into_iter(), tokenizer.with_context(context), tag, device.threads)?;
            if completes_abbreviations(args, gold, checkpoint) {
                for (document, found) in gold.documents.iter().zip(&mut found) {
                    pubtag_abbreviations::complete(&document.text, found);
                }
            }
            gold.documents.iter().zip(found).map(|(document, found)| with_found(document, found)).collect()
        }
        Reading::Tokens(words) => {
            let contexts = pack(&gold.documents, || words.get());
            let whole = |context: &PackedContext| CitationText::of_parts(&context.text, []);
            let texts: Vec<CitationText> = contexts.iter().map(whole).collect();
            returned(&contexts, tagged(texts.into_iter(), tokenizer, tag, device.threads)?, &gold.documents)
        }
    };
    for document in &mut found {
        // A model with four categories can be scored on their union.
        Labels::from(args.labels).apply(document);
        document.mentions.retain(|mention| gold.types.contains(&mention.category));
    }
    Ok(found)
}

/// A document with these annotations in place of its own mentions.
fn with_found(document: &AnnotatedDocument, found: Vec<Annotation>) -> AnnotatedDocument {
    let mention = |Annotation { bytes, label, .. }: Annotation| Mention::new(&document.text, bytes, &label);
    AnnotatedDocument { mentions: found.into_iter().map(mention).collect(), ..document.clone() }
}

/// How the model reads a corpus.
enum Reading {
    /// As `pubtag run` reads the same texts.
    Run(Context),
    /// Consecutive sentences of up to this many words, of a corpus that has only tokens.
    Tokens(NonZeroUsize),
}

/// Words per context of a corpus without text, if neither the user nor the model sets it.
const DEFAULT_WORDS: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not 0");

fn reading(args: &EvaluateArgs, gold: &Gold, checkpoint: &Checkpoint) -> Reading {
    let context = args.context.map_or_else(|| checkpoint.context_words().into(), Context::from);
    match context {
        context if has_own_text(gold) => Reading::Run(context),
        Context::Words(words) => Reading::Tokens(words),
        Context::Document => Reading::Tokens(DEFAULT_WORDS),
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(Context::Document) => f.write_str("each document whole, as `pubtag run` reads it"),
            Self::Run(Context::Words(words)) => {
                write!(f, "consecutive sentences of up to {words} words, as `pubtag run` reads them")
            }
            Self::Tokens(words) => write!(f, "consecutive sentences of up to {words} tokens; the corpus has no text"),
        }
    }
}

/// Whether the corpus has the documents' text, not only tokens.
fn has_own_text(gold: &Gold) -> bool {
    gold.documents.iter().all(|document| document.layout == Layout::Source)
}

/// Whether abbreviations are tagged by their definitions, which need the documents' text.
fn completes_abbreviations(args: &EvaluateArgs, gold: &Gold, checkpoint: &Checkpoint) -> bool {
    tags_abbreviations(args.abbreviations, checkpoint) && has_own_text(gold)
}

fn evaluate(
    args: &EvaluateArgs,
    Target { gold, not_scored }: &Target,
    checkpoint: &Checkpoint,
    found: &[AnnotatedDocument],
) -> Result<Evaluation, ScoreError> {
    let (expected_tags, found_tags) = (iob2(&gold.documents), iob2(found));
    let counts = tags::count(&expected_tags, &found_tags, Mode::Default)?;
    let merged = |documents: &[AnnotatedDocument]| {
        let mut documents = documents.to_vec();
        documents.iter_mut().for_each(|document| Labels::Auto.apply(document));
        iob2(&documents)
    };
    let has_parts = categories(&gold.documents).iter().any(|category| is_ncbi(category));
    let as_one = has_parts.then(|| tags::score(&merged(&gold.documents), &merged(found), Mode::Default)).transpose()?;
    let own_text = has_own_text(gold);
    let spans = |by| own_text.then(|| spans::score(&gold.documents, found, by)).transpose();
    Ok(Evaluation {
        model: checkpoint.name(),
        model_fingerprint: checkpoint.fingerprint().to_owned(),
        gold: gold.corpus.path.display().to_string(),
        gold_sha256: gold.sha256.clone(),
        documents: gold.documents.len(),
        sentences: gold.sentences(),
        tokens: expected_tags.iter().map(Vec::len).sum(),
        mentions: gold.mentions(),
        not_scored: not_scored.clone(),
        decode: Decoding::from(args.decode).to_string(),
        aggregation: Aggregation::from(args.aggregation).to_string(),
        precision: Precision::from(args.device.precision).to_string(),
        reading: reading(args, gold, checkpoint).to_string(),
        abbreviations: completes_abbreviations(args, gold, checkpoint),
        entities: tags::score(&expected_tags, &found_tags, Mode::Default)?,
        entities_interval: Bootstrap::default().interval(&counts),
        entities_strict_iob2: tags::score(&expected_tags, &found_tags, Mode::Strict)?,
        entities_as_one_category: as_one,
        spans_strict: spans(Match::Strict)?,
        spans_overlapping: spans(Match::Overlapping)?,
        single_tokens: tags::token_table(&expected_tags, &found_tags)?,
        errors: errors::list(&gold.documents, found)?,
    })
}

/// Every token with its expected and its predicted tag, and a blank line after each sentence, in conlleval's format.
fn columns(gold: &[AnnotatedDocument], found: &[AnnotatedDocument]) -> String {
    let mut text = String::new();
    for (gold, found) in gold.iter().zip(found) {
        let mut tokens = gold.tokens.iter().map(|token| &gold.text[token.bytes.clone()]);
        let (expected, found) = (sentence_tags(gold), sentence_tags(found));
        for (expected, found) in expected.iter().zip(&found) {
            for ((expected, found), token) in expected.iter().zip(found).zip(tokens.by_ref()) {
                let _ = writeln!(text, "{token} {expected} {found}");
            }
            text.push('\n');
        }
    }
    text
}

fn page(evaluation: &Evaluation, shown: usize) -> String {
    let Evaluation { model, gold, documents, sentences, tokens, mentions, .. } = evaluation;
    let mut text = format!(
        "{model} on {gold}: {documents} documents, {sentences} sentences, {tokens} tokens, {mentions} mentions\n\
         context: {}\ndecoding {}, aggregation {}, precision {}, abbreviations {}\n\n",
        evaluation.reading,
        evaluation.decode,
        evaluation.aggregation,
        evaluation.precision,
        if evaluation.abbreviations { "on" } else { "off" },
    );
    if !evaluation.not_scored.is_empty() {
        let types = evaluation.not_scored.join(", ");
        let _ = writeln!(text, "not scored, because the model does not know them: {types}\n");
    }
    table(&mut text, "entities, strict (conlleval, seqeval's default)", &evaluation.entities);
    let Interval { low, high, .. } = evaluation.entities_interval;
    let _ = writeln!(text, "  95% confidence interval of micro F1 (bootstrap over sentences): {low:.4} to {high:.4}\n");
    table(&mut text, "entities, strict (seqeval mode=\"strict\", scheme=IOB2)", &evaluation.entities_strict_iob2);
    for (title, scores) in [
        ("entities, strict (conlleval), four categories merged", &evaluation.entities_as_one_category),
        ("text spans, strict", &evaluation.spans_strict),
        ("text spans, overlapping", &evaluation.spans_overlapping),
    ] {
        if let Some(scores) = scores {
            let _ = writeln!(text);
            table(&mut text, title, scores);
        }
    }
    let table = &evaluation.single_tokens;
    let _ = writeln!(text, "\nsingle tokens (as in NeMo's report; not comparable with entity scores)\n{table}\n");
    errors_page(&mut text, &evaluation.errors, shown);
    text
}

/// One table over several corpora.
fn comparison(evaluations: &[Evaluation]) -> String {
    let mut text = format!(
        "{}: strict F1 of entities (conlleval, seqeval's default), and of text spans if the corpus has text\n\n\
         {:30} {:16} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        evaluations[0].model, "corpus", "type", "precision", "recall", "F1", "span F1", "mentions"
    );
    for Evaluation { gold, entities, spans_strict, .. } in evaluations {
        let name = Path::new(gold).file_name().unwrap_or_default().to_string_lossy();
        let types = entities.categories.iter().map(|(kind, score)| {
            (kind.as_str(), score, spans_strict.as_ref().and_then(|spans| spans.categories.get(kind)))
        });
        let all = ("all (micro)", &entities.micro, spans_strict.as_ref().map(|spans| &spans.micro));
        for (kind, score, places) in types.chain((entities.categories.len() > 1).then_some(all)) {
            let places = places.map_or_else(|| "–".to_owned(), |places| format!("{:.4}", places.f1));
            let Score { precision, recall, f1, support } = score;
            let _ = writeln!(text, "{name:30} {kind:16} {precision:9.4} {recall:9.4} {f1:9.4} {places:>9} {support:9}");
        }
    }
    let mean = evaluations.iter().map(|one| one.entities.micro.f1).sum::<f64>() / evaluations.len() as f64;
    let _ = writeln!(text, "\nmean micro F1: {mean:.4}");
    text
}

fn table(text: &mut String, title: &str, scores: &Scores) {
    let _ = writeln!(text, "{title}\n  {:20} {:>9} {:>9} {:>9} {:>9}", "", "precision", "recall", "F1", "support");
    let averages = [("micro average", &scores.micro), ("macro average", &scores.macro_)];
    let rows = scores.categories.iter().map(|(name, score)| (name.as_str(), score)).chain(averages);
    for (name, Score { precision, recall, f1, support }) in rows {
        let _ = writeln!(text, "  {name:20} {precision:9.4} {recall:9.4} {f1:9.4} {support:9}");
    }
}

fn errors_page(text: &mut String, errors: &ErrorList, shown: usize) {
    let counts: Vec<String> = errors.counts.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
    let _ = writeln!(text, "correct mentions: {}; errors: {}", errors.correct, counts.join(", "));
    for (expected, row) in &errors.confusion {
        let row: Vec<String> = row.iter().map(|(found, count)| format!("{found} {count}")).collect();
        let _ = writeln!(text, "  expected {expected}: found {}", row.join(", "));
    }
    for SpanError { kind, index, document, expected, found } in errors.errors.iter().take(shown) {
        let side = |side: &Option<Side>| side.as_ref().map_or_else(|| "–".to_owned(), |side| side.mention.clone());
        let document = document.clone().unwrap_or_else(|| format!("#{}", index + 1));
        let _ = writeln!(text, "  {document}\t{kind:?}\t{}\t{}", side(expected), side(found));
    }
}
