//! How definitions change annotations.

use proptest::prelude::*;
use pubtag_abbreviations::{Changes, complete};
use pubtag_schemas::{Annotation, AnnotationSource};

/// The annotations of a text with mentions in `<` and `>`: of type `D`, or `G` as `<G:…>`.
fn marked(text: &str) -> (String, Vec<Annotation>) {
    let (mut plain, mut annotations) = (String::new(), Vec::new());
    for (number, piece) in text.split(['<', '>']).enumerate() {
        let (label, mention) = piece.split_once(':').filter(|_| number % 2 == 1).unwrap_or(("D", piece));
        let start = plain.len();
        plain.push_str(mention);
        if number % 2 == 1 {
            let (score, source) = (0.5 + annotations.len() as f32 / 100.0, AnnotationSource::Model);
            annotations.push(Annotation {
                bytes: start..plain.len(),
                label: label.to_owned(),
                score,
                source,
                concept_ids: vec![],
            });
        }
    }
    (plain, annotations)
}

/// The text with its completed annotations marked; `<+` starts an added one.
fn completed(text: &str) -> String {
    let (plain, mut annotations) = marked(text);
    complete(&plain, &mut annotations);
    let (mut marked, mut end) = (String::new(), 0);
    for Annotation { bytes, label, source, .. } in annotations {
        marked.push_str(&plain[end..bytes.start]);
        marked.push('<');
        marked.push_str(if source == AnnotationSource::Abbreviation { "+" } else { "" });
        marked.push_str(if label == "D" { "" } else { &label });
        marked.push_str(if label == "D" { "" } else { ":" });
        marked.push_str(&plain[bytes.clone()]);
        marked.push('>');
        end = bytes.end;
    }
    marked + &plain[end..]
}

#[test]
fn the_short_form_of_a_mention_is_a_mention_everywhere() {
    assert_eq!(
        completed("HD in mice. <Huntington disease> (HD) is not HDL; HD-like, two HDs."),
        "<+HD> in mice. <Huntington disease> (<+HD>) is not HDL; <+HD>-like, two <+HDs>."
    );
    assert_eq!(
        completed("AT (<ataxia-telangiectasia>) and its gene, ATM."),
        "<+AT> (<ataxia-telangiectasia>) and its gene, ATM."
    );
}

#[test]
fn a_short_form_gets_the_label_and_score_of_its_long_form() {
    let (text, mut annotations) = marked("<gout> and <G:tumor protein> (TP)");
    assert_eq!(complete(&text, &mut annotations), Changes { added: 1, removed: 0 });
    let [_, long, short] = &annotations[..] else { panic!("{annotations:?}") };
    assert_eq!((&*short.label, short.score), ("G", long.score));
    assert_eq!((short.bytes.clone(), short.source), (24..26, AnnotationSource::Abbreviation));
}

#[test]
fn existing_annotations_are_not_changed() {
    for text in [
        "<Huntington disease> (<HD>), <HD gene>, <G:HD>, <early HD>",
        "<Huntington disease> (<G:HD>)",
        "<Huntington disease (HD>)",
    ] {
        assert_eq!(completed(text), text);
    }
}

#[test]
fn the_short_form_of_something_else_is_not_a_mention() {
    assert_eq!(completed("<gout>; magnetic resonance (<MR>), <MR>, <MRs>"), "<gout>; magnetic resonance (MR), MR, MRs");
    // A longer annotation of the model stays.
    assert_eq!(completed("mental retardation (MR), <MR syndrome>"), "mental retardation (MR), <MR syndrome>");
}

#[test]
fn the_last_word_determines_the_meaning_of_a_long_form() {
    // The model annotated more or less than the long form.
    assert_eq!(
        completed("<lobe epilepsy>, temporal <lobe epilepsy> (TLE)"),
        "<lobe epilepsy>, temporal <lobe epilepsy> (<+TLE>)"
    );
    assert_eq!(completed("<severe temporal lobe epilepsy> (TLE)"), "<severe temporal lobe epilepsy> (<+TLE>)");
    assert_eq!(completed("<cancer> stem cells (<CSC>)"), "<cancer> stem cells (CSC)");
    // What follows a function word is something else.
    assert_eq!(completed("<deficiency of hexosaminidase> (Hex)"), "<deficiency of hexosaminidase> (Hex)");
    assert_eq!(completed("duration of <catatonia> (DOC), <DOC>"), "duration of <catatonia> (DOC), <DOC>");
    assert_eq!(completed("<cone dystrophy> with rod response (<CDRR>)"), "<cone dystrophy> with rod response (<CDRR>)");
}

#[test]
fn of_several_definitions_the_first_that_is_a_mention_counts() {
    assert_eq!(
        completed("alpha tests (AT), <G:actin type> (AT), <ataxia telangiectasia> (AT)"),
        "alpha tests (<+G:AT>), <G:actin type> (<+G:AT>), <ataxia telangiectasia> (<+G:AT>)"
    );
    // All must name something else for an annotation to be removed.
    let unsure = "<gout>, alpha tests (<AT>), age of <tumour> (AT)";
    assert_eq!(completed(unsure), unsure);
}

#[test]
fn an_unclear_short_form_does_not_hide_another_inside_it() {
    assert_eq!(
        completed("<alpha tumour> (AT), apex or <dark tumour> (AT/DT), AT/DT"),
        "<alpha tumour> (<+AT>), apex or <dark tumour> (<+AT>/DT), <+AT>/DT"
    );
}

#[test]
fn a_text_without_definitions_or_mentions_is_not_changed() {
    for text in ["<gout> and HD", "Huntington disease (HD)", ""] {
        assert_eq!(completed(text), text);
    }
}

/// Quadratic time would be hours here.
#[test]
fn a_long_text_with_many_definitions_takes_linear_time() {
    let (text, mut annotations) = marked(&"<Huntington disease> (HD) of mice (<OM>) ".repeat(100_000));
    assert_eq!(complete(&text, &mut annotations), Changes { added: 100_000, removed: 100_000 });
    let many: String = (0..50_000).map(|number| format!("<ataxia {number}> (A{number}) ")).collect();
    let (text, mut annotations) = marked(&many);
    assert_eq!(complete(&text, &mut annotations).added, 50_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn annotations_stay_sorted_without_overlaps_and_on_whole_words(
        pieces in prop::collection::vec("([a-cA-Cé𝛽]{1,4}|[A-C]{2,3}s?|\\([A-C]{2,3}\\)|<[A-C]{2}>|<[a-c]{1,4} [a-c]{1,4}>|of)", 0..30),
    ) {
        let (text, before) = marked(&pieces.join(" "));
        let mut after = before.clone();
        let changes = complete(&text, &mut after);
        prop_assert_eq!(before.len() as u64 + changes.added - changes.removed, after.len() as u64);
        prop_assert!(after.windows(2).all(|pair| pair[0].bytes.end <= pair[1].bytes.start));
        let is_edge = |byte: usize| {
            let inside = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
            !(inside(text[..byte].chars().next_back()) && inside(text[byte..].chars().next()))
        };
        for annotation in &after {
            let added = annotation.source == AnnotationSource::Abbreviation;
            prop_assert!(added || before.contains(annotation));
            prop_assert!(!added || (is_edge(annotation.bytes.start) && is_edge(annotation.bytes.end)));
        }
    }
}
