//! `pubmed26n1335_stats.html`: what NLM counts in an update file.

/// What NLM counts in an update file; `None` where the page does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NlmCounts {
    /// All records, which may or may not include deletions.
    pub records: Option<u64>,
    /// Deleted citations.
    pub deletions: Option<u64>,
}

impl NlmCounts {
    /// How many records more or fewer than NLM someone has counted, by the closer of the possible meanings of its total.
    pub fn difference(&self, records: u64, deletions: u64) -> u64 {
        let of_deletions = self.deletions.map_or(0, |theirs| theirs.abs_diff(deletions));
        let of_records = self.records.map_or(0, |theirs| {
            let without_deletions = theirs.saturating_sub(self.deletions.unwrap_or(deletions));
            theirs.abs_diff(records).min(without_deletions.abs_diff(records))
        });
        of_deletions + of_records
    }
}

/// Reads the counts on a page of statistics; `None` if it has none.
///
/// NLM does not document the layout, so only the labels of numbers count: a number belongs to the text before it, in the
/// same row or line. Without a total, new and revised records are added up.
///
/// ```
/// use pubtag_sync::{NlmCounts, counts_in};
///
/// let page = "<tr><td>Total citations</td><td>17,204</td></tr><tr><td>Deleted:</td><td>12</td></tr>";
/// assert_eq!(counts_in(page), Some(NlmCounts { records: Some(17_204), deletions: Some(12) }));
/// assert_eq!(counts_in("<html>pubmed26n1335</html>"), None);
/// ```
pub fn counts_in(html: &str) -> Option<NlmCounts> {
    let (mut counts, mut new, mut revised) = (NlmCounts::default(), None, None);
    for (label, count) in labelled_numbers(html) {
        let is = |word: &str| label.contains(word);
        let place = match () {
            () if is("delet") => &mut counts.deletions,
            () if is("total") => &mut counts.records,
            () if is("revis") || is("updated") => &mut revised,
            () if is("new") => &mut new,
            () => continue,
        };
        // The first of several is that of the whole file.
        place.get_or_insert(count);
    }
    counts.records = counts.records.or_else(|| new.map(|new| new + revised.unwrap_or(0)));
    (counts != NlmCounts::default()).then_some(counts)
}

/// Numbers with the text before each, in lower case.
fn labelled_numbers(html: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for line in lines(html) {
        let mut label = String::new();
        for word in line.split_whitespace() {
            let digits = word.trim_matches(|c: char| !c.is_alphanumeric()).replace(',', "");
            match digits.parse() {
                Ok(count) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                    found.push((std::mem::take(&mut label).to_lowercase(), count));
                }
                _ => label = label + " " + word,
            }
        }
    }
    found
}

/// The text of each row, paragraph or line, without tags.
fn lines(html: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = html;
    while let Some(start) = rest.find(['<', '\n']) {
        let (text, tag) = rest.split_at(start);
        lines.last_mut().expect("there is always one").push_str(text);
        let end = if tag.starts_with('<') { tag.find('>').map_or(tag.len(), |end| end + 1) } else { 1 };
        let name = tag[1..end].trim_start_matches('/').to_ascii_lowercase();
        // Cells of one row may be on several lines of the file.
        let breaks = ["tr", "br", "p", "li", "h", "div", "table", "pre"].iter().any(|tag| name.starts_with(tag));
        let in_text = tag.starts_with('\n') && !html.contains("<t");
        if breaks || in_text {
            lines.push(String::new());
        } else {
            lines.last_mut().expect("there is always one").push(' ');
        }
        rest = &tag[end..];
    }
    lines.last_mut().expect("there is always one").push_str(rest);
    lines.iter().map(|line| line.replace("&nbsp;", " ")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(records: u64, deletions: u64) -> Option<NlmCounts> {
        Some(NlmCounts { records: Some(records), deletions: Some(deletions) })
    }

    #[test]
    fn counts_are_found_by_their_labels_in_tables_lists_and_lines() {
        let table = "<TABLE>\n<TR>\n<TD>New</TD>\n<TD ALIGN=right>&nbsp;1,204</TD></TR>\n<tr><td>Revised records</td>\
                     <td>16,000</td></tr><tr><td>Deleted</td><td>3</td></tr></TABLE>";
        assert_eq!(counts_in(table), counts(17_204, 3));
        assert_eq!(counts_in("<li>Total: 30000</li><li>Deleted PMIDs: 7</li>"), counts(30_000, 7));
        assert_eq!(counts_in("Total records 12\nDeleted records 0\n"), counts(12, 0));
        assert_eq!(counts_in("<p>pubmed26n1335.xml, 2026</p>"), None);
    }

    #[test]
    fn a_total_may_include_deletions_or_not() {
        let counts = NlmCounts { records: Some(100), deletions: Some(10) };
        assert_eq!([(100, 10), (90, 10), (89, 10), (100, 8)].map(|(r, d)| counts.difference(r, d)), [0, 0, 1, 2]);
        assert_eq!(NlmCounts { records: None, deletions: Some(3) }.difference(77, 3), 0);
    }

    proptest! {
        #[test]
        fn no_page_breaks_the_reader(page in "(<|>|/|tr|td|total|deleted|9|,|&nbsp;|é|\n| ){0,60}") {
            let _ = counts_in(&page);
        }
    }
}
