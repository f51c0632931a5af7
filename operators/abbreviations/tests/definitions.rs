//! Definitions: examples, and properties of any text.

use proptest::prelude::*;
use pubtag_abbreviations::{Definition, definitions};

/// The definitions in a text as `SHORT = long form`.
fn found(text: &str) -> Vec<String> {
    definitions(text).into_iter().map(|d| format!("{} = {}", &text[d.short], &text[d.long])).collect()
}

#[test]
fn a_long_form_before_its_short_form() {
    for (text, expected) in [
        ("The heat shock transcription factor (HSF) binds.", "HSF = heat shock transcription factor"),
        ("Loss of adenomatous polyposis coli (APC) is early.", "APC = adenomatous polyposis coli"),
        ("in X-linked adrenoleukodystrophy (X-ALD)", "X-ALD = X-linked adrenoleukodystrophy"),
        ("in X-linked adrenoleukodystrophy (ALD)", "ALD = adrenoleukodystrophy"),
        ("of non-Hodgkin lymphoma (HL)", "HL = non-Hodgkin lymphoma"),
        ("Gcn5-related N-acetyltransferase (GNAT)", "GNAT = Gcn5-related N-acetyltransferase"),
        ("multiple endocrine neoplasia type 1 [MEN1]", "MEN1 = multiple endocrine neoplasia type 1"),
        ("with the \"Wiskott-Aldrich syndrome\" (\"WAS\")", "WAS = Wiskott-Aldrich syndrome"),
        ("αβ-Thalassämie (αβT)", "αβT = αβ-Thalassämie"),
        ("two words (Tw W)", "Tw W = two words"),
    ] {
        assert_eq!(found(text), [expected], "{text}");
    }
}

#[test]
fn a_short_form_before_its_long_form() {
    for (text, expected) in [
        ("SMA (spinal muscular atrophy) is rare", "SMA = spinal muscular atrophy"),
        ("the -DM (myotonic dystrophy, adult) locus", ""),
        ("the -DM (dystrophia myotonica, adult) locus", "DM = dystrophia myotonica"),
        // An ordinary word is not a short form, and too many words are not a long form.
        ("we saw (with six animals) that", ""),
        ("DM (does not mean so many words as these)", ""),
    ] {
        assert_eq!(found(text).concat(), expected, "{text}");
    }
}

#[test]
fn the_search_is_from_right_to_left_and_the_first_letter_starts_a_word() {
    // The last `d` before the bracket counts; a `p` inside a word does not start the long form.
    assert_eq!(found("pain and a spinal pump disorder (PD)"), ["PD = pump disorder"]);
    assert_eq!(found("a spinal disorder (PD)"), [""; 0]);
    assert_eq!(found("growth hormone and growth hormone receptor (GHR)"), ["GHR = growth hormone receptor"]);
}

#[test]
fn a_short_form_has_2_to_10_characters_at_most_2_words_and_a_letter() {
    for text in [
        "a (A)",
        "one two (12)",
        "alpha beta gamma (a b g)",
        "abcdefghijkl mnop (abcdefghijk)",
        "-long form (-LF)",
        "name ()",
        "name ( )",
        "name (",
        "(NA)",
        "name )(NA",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
    assert_eq!(found("abcdefghij klm (abcdefghik)").len(), 1, "ten characters are a short form");
}

#[test]
fn a_long_form_has_no_more_words_than_its_short_form_allows() {
    // min(|A| + 5, 2 |A|): 4 for two letters, 6 for three, 11 for six.
    assert_eq!(found("a of the f (AF)"), ["AF = a of the f"]);
    assert_eq!(found("a b c d f (AF)"), [""; 0]);
    assert_eq!(found("a of b of the c (ABC)"), ["ABC = a of b of the c"]);
    assert_eq!(found("a of the b of the c (ABC)"), [""; 0]);
    assert_eq!(found("a x b x c x d x e x f (ABCDEF)"), ["ABCDEF = a x b x c x d x e x f"]);
    assert_eq!(found("a x b x c x d x e x x f (ABCDEF)"), [""; 0]);
}

#[test]
fn a_long_form_is_longer_than_its_short_form_and_does_not_contain_it() {
    assert_eq!(found("the HD gene HD (HD)"), [""; 0]);
    assert_eq!(found("abc (ABC)"), [""; 0]);
}

#[test]
fn a_long_form_is_within_one_sentence() {
    assert_eq!(found("Patients came. Familial disease (PFD) was seen."), [""; 0]);
    assert_eq!(found("against S. Typhimurium (ST)"), ["ST = S. Typhimurium"]);
}

#[test]
fn text_after_the_short_form_in_its_bracket_is_ignored() {
    for tail in ["; OMIM 175100", ": OMIM 175100", ", a tumour syndrome", " or Gardner syndrome", ", (type 1)"] {
        assert_eq!(
            found(&format!("familial adenomatous polyposis (FAP{tail})")),
            ["FAP = familial adenomatous polyposis"]
        );
    }
}

#[test]
fn brackets_nest() {
    assert_eq!(found("poly (ADP-ribose) polymerase (PARP)"), ["PARP = poly (ADP-ribose) polymerase"]);
    assert_eq!(found("poly(ADP-ribose) polymerase (PARP)"), ["PARP = poly(ADP-ribose) polymerase"]);
    assert_eq!(found("(in Huntington disease (HD))"), ["HD = Huntington disease"]);
    assert_eq!(found("(ataxia telangiectasia (AT))"), ["AT = ataxia telangiectasia"]);
    // A long form does not start inside a bracket and end outside.
    assert_eq!(found("(familial, rare) dysplasia (FD)"), [""; 0]);
    assert_eq!(found("Huntington disease (HD]"), [""; 0]);
}

#[test]
fn a_bracket_within_a_word_defines_nothing() {
    assert_eq!(found("poly adenosine(PA)"), [""; 0]);
}

#[test]
fn each_bracket_is_a_separate_definition() {
    let text = "Huntington disease (HD) and AT (ataxia-telangiectasia), but again Huntington disease (HD).";
    assert_eq!(found(text), ["HD = Huntington disease", "AT = ataxia-telangiectasia", "HD = Huntington disease"]);
    assert_eq!(definitions(text)[1], Definition { long: 32..53, short: 28..30 });
}

/// Quadratic time would be hours here.
#[test]
fn a_long_text_of_brackets_takes_linear_time() {
    for piece in ["(", " (", " (AB)", "a b c (ABC) ", " ()", "(a", "[(", " (AB", "ab", " "] {
        definitions(&piece.repeat(200_000));
    }
}

/// Texts with many brackets, short words and capitals.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "([a-eA-Eé𝛽İ]{1,3}[ -]?|[ .,;]|[(\\[]|[)\\]]| or | \\([A-E]{2,4}\\)){0,60}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn both_ranges_are_disjoint_and_on_character_boundaries(text in text()) {
        for Definition { long, short } in definitions(&text) {
            prop_assert!(text.get(long.clone()).is_some_and(|long| !long.is_empty()));
            prop_assert!(text.get(short.clone()).is_some_and(|short| (2..=10).contains(&short.chars().count())));
            prop_assert!(long.end <= short.start || short.end <= long.start);
        }
    }

    #[test]
    fn a_long_form_has_the_letters_of_its_short_form_in_order(text in text()) {
        let letters = |place: &str| -> Vec<String> {
            place.chars().filter(|char| char.is_alphanumeric()).map(|char| char.to_lowercase().take(1).collect()).collect()
        };
        for Definition { long, short } in definitions(&text) {
            let (long, short) = (letters(&text[long]), letters(&text[short]));
            let mut rest = long.iter();
            prop_assert!(short.iter().all(|letter| rest.any(|other| other == letter)), "{short:?} in {long:?}");
        }
    }
}
