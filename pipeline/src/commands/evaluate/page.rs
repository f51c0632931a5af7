//! Scores as text.

use std::fmt::Write as _;
use std::path::Path;

use pubtag_corpus::score::bootstrap::Interval;
use pubtag_corpus::score::errors::{ErrorList, Side, SpanError};
use pubtag_corpus::score::{Score, Scores};

use super::scores::Evaluation;
use crate::diagnostics::in_words;

/// One corpus in detail, with up to `shown` errors.
pub(super) fn page(evaluation: &Evaluation, shown: usize) -> String {
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
    if !evaluation.left_out.is_empty() {
        let _ = writeln!(text, "not scored, because it cannot be read: {}\n", in_words(&evaluation.left_out));
    }
    if !evaluation.untaggable.is_empty() {
        let lost = in_words(&evaluation.untaggable);
        let _ = writeln!(text, "not scored on tokens, because tags cannot express them: {lost}\n");
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
pub(super) fn comparison(evaluations: &[Evaluation]) -> String {
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
    for Evaluation { gold, left_out, untaggable, .. } in evaluations {
        if !left_out.is_empty() {
            let _ = writeln!(text, "{gold}: not scored, because it cannot be read: {}", in_words(left_out));
        }
        if !untaggable.is_empty() {
            let lost = in_words(untaggable);
            let _ = writeln!(text, "{gold}: not scored on tokens, because tags cannot express them: {lost}");
        }
    }
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
