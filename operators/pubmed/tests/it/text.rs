//! The text of a citation.

use crate::common::{article, article_of, read, set};

fn text_of(title: &str, abstract_xml: &str) -> String {
    let reading = read(set(&article(990_000_001, title, abstract_xml)));
    assert_eq!(reading.reasons(), [], "{:?}", reading.rejects());
    reading.texts()[0].to_owned()
}

fn abstract_of(content: &str) -> String {
    let text = text_of("T", &format!("<AbstractText>{content}</AbstractText>"));
    text.strip_prefix("T ").expect("title and one space").to_owned()
}

#[test]
fn segments_have_their_labels_and_are_joined_by_one_space() {
    let segments = "<AbstractText Label=\"AIM\" NlmCategory=\"OBJECTIVE\">To see.</AbstractText>\n  \
                    <AbstractText NlmCategory=\"METHODS\">We looked.</AbstractText><AbstractText Label='A &amp; B'> x \
                    </AbstractText>";
    let reading = read(set(&article(990_000_001, "Ataxia.", segments)));
    assert_eq!(reading.texts(), ["Ataxia. AIM: To see. We looked. A & B: x"]);
    let sections: Vec<_> = reading.citations()[0].text.sections().iter().map(|section| section.name()).collect();
    assert_eq!(sections, ["title", "AIM", "abstract", "A & B"]);
}

#[test]
fn empty_segments_and_labels_leave_nothing_behind() {
    let segments =
        "<AbstractText Label=\"AIM\"> \n</AbstractText><AbstractText/><AbstractText Label=\"\">a</AbstractText>";
    assert_eq!(text_of("T", segments), "T a");
}

#[test]
fn title_and_abstract_are_joined_by_one_space_even_if_empty() {
    assert_eq!(text_of("", "<AbstractText>A.</AbstractText>"), " A.");
    assert_eq!(read(set(&article_of(990_000_001, "<ArticleTitle>Alone.</ArticleTitle>"))).texts(), ["Alone. "]);
    assert_eq!(read(set(&article_of(990_000_001, "<ArticleTitle/>"))).texts(), [" "]);
    assert_eq!(read(set(&article_of(990_000_001, ""))).texts(), [" "]);
}

#[test]
fn inline_markup_is_dropped_and_its_text_kept() {
    assert_eq!(text_of("m<sup>2</sup> of <i>TP<b>53</b></i>", ""), "m2 of TP53 ");
    assert_eq!(abstract_of("CO<sub>2</sub> <u>and</u> H<sub/>O"), "CO2 and HO");
}

#[test]
fn the_text_of_mathematics_is_kept_and_its_alttext_is_not() {
    let math = "p <mml:math xmlns:mml=\"http://www.w3.org/1998/Math/MathML\" alttext=\"p &lt; 1\"><mml:mo>&lt;</mml:mo>\
                <mml:mn>0.05</mml:mn></mml:math>, <math><mi>x</mi></math>";
    assert_eq!(abstract_of(math), "p <0.05, x");
    let formula = "a<DispFormula>\n  <mml:math><mml:mi>b</mml:mi>\n  </mml:math>\n</DispFormula>c";
    assert_eq!(abstract_of(formula), "a b c");
}

#[test]
fn comments_and_instructions_are_dropped_and_cdata_is_kept() {
    assert_eq!(abstract_of("a<!-- no -->b<?no no?>c<![CDATA[ <i>&amp; ]]>d"), "abc <i>&amp; d");
}

#[test]
fn entities_and_character_references_become_their_characters() {
    assert_eq!(abstract_of("&lt;&gt;&amp;&quot;&apos; &#946;&#x3b2;&#x1D6FD; 𝛽"), "<>&\"' ββ𝛽 𝛽");
}

#[test]
fn white_space_with_a_line_break_becomes_one_space_and_nothing_else_changes() {
    assert_eq!(abstract_of("\r\n  a\r\n\t b  c\td\re \n\n <i>\n f</i>&#10;g&#13;h\u{A0}\n"), "a b  c\td e f g h\u{A0}");
    assert_eq!(text_of("\n A\n  title \n", ""), "A title ");
}

#[test]
fn what_is_not_the_abstract_is_left_out() {
    let inner = "<ArticleTitle>[T].</ArticleTitle><Abstract><AbstractText>A.</AbstractText><CopyrightInformation>© X\
                 </CopyrightInformation></Abstract><VernacularTitle>Le T</VernacularTitle>";
    let record = article_of(990_000_001, inner).replace(
        "</MedlineCitation>",
        "<OtherAbstract Type=\"Publisher\" Language=\"fre\"><AbstractText>Autre.\
                 </AbstractText></OtherAbstract></MedlineCitation>",
    );
    assert_eq!(read(set(&record)).texts(), ["[T]. A."]);
}

#[test]
fn byte_order_marks_and_other_encodings_give_the_same_text() {
    let utf8 = set(&article(990_000_001, "Möbius", "<AbstractText>é</AbstractText>"));
    let expected = ["Möbius é"];
    assert_eq!(read([b"\xEF\xBB\xBF", utf8.as_bytes()].concat()).texts(), expected);
    let latin1: Vec<u8> = utf8.replace("utf-8", "ISO-8859-1").chars().map(|c| c as u32 as u8).collect();
    assert_eq!(read(latin1).texts(), expected);
    let utf16 = utf8.replace("utf-8", "UTF-16");
    let little: Vec<u8> = "\u{FEFF}".encode_utf16().chain(utf16.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&little).texts(), expected);
    assert_eq!(read(&little[2..]).texts(), expected);
    let big: Vec<u8> = "\u{FEFF}".encode_utf16().chain(utf16.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    assert_eq!(read(big).texts(), expected);
}
