//! Dates of PubMed: `PubDate`, with seasons and ranges, and plain dates such as `DateRevised`.

use pubtag_schemas::{Date, PubDate, civil_date};

/// The parts of a date element, unparsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DateParts {
    pub(crate) year: Option<String>,
    pub(crate) month: Option<String>,
    pub(crate) day: Option<String>,
    pub(crate) season: Option<String>,
    pub(crate) medline_date: Option<String>,
}

impl DateParts {
    /// The publication date: its wording, its year, and the day if it is given in full.
    pub(crate) fn pub_date(&self) -> PubDate {
        let parts = match &self.medline_date {
            Some(words) => vec![words],
            None => [&self.year, &self.month, &self.season, &self.day].into_iter().flatten().collect(),
        };
        let raw = parts.iter().map(|part| part.as_str()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let year = self.year.as_deref().or(self.medline_date.as_deref()).and_then(first_year);
        PubDate { raw: (!raw.is_empty()).then_some(raw), year, date: self.day() }
    }

    /// The day, if year, month and day are given and valid.
    pub(crate) fn day(&self) -> Option<Date> {
        let year = self.year.as_deref()?.parse().ok()?;
        civil_date(year, month_number(self.month.as_deref()?)?, self.day.as_deref()?.parse().ok()?)
    }
}

/// The first number of four digits: `1998 Dec-1999 Jan` counts as 1998, as in PubMed.
fn first_year(words: &str) -> Option<i32> {
    words.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 4)?.parse().ok()
}

/// The number of a month written as `3`, `03`, `Mar` or `March`.
fn month_number(month: &str) -> Option<u8> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let lower = month.to_ascii_lowercase();
    let named = || NAMES.iter().position(|name| lower.len() >= 3 && name.starts_with(&lower));
    month.parse().ok().or_else(|| u8::try_from(named()? + 1).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(year: &str, month: &str, day: &str) -> DateParts {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        DateParts { year: given(year), month: given(month), day: given(day), ..Default::default() }
    }

    #[test]
    fn a_day_needs_year_month_and_day() {
        let whole = parts("2016", "Mar", "4").pub_date();
        assert_eq!(whole.raw.as_deref(), Some("2016 Mar 4"));
        assert_eq!((whole.year, whole.date), (Some(2016), civil_date(2016, 3, 4)));
        assert_eq!(parts("2016", "03", "04").day(), civil_date(2016, 3, 4));
        assert_eq!(parts("2016", "September", "30").day(), civil_date(2016, 9, 30));
        for (month, day) in [("Mar", ""), ("", "4"), ("Feb", "30"), ("Foo", "1"), ("13", "1")] {
            assert_eq!(parts("2016", month, day).day(), None, "{month} {day}");
        }
    }

    #[test]
    fn seasons_and_ranges_keep_their_wording_and_give_a_year() {
        let season = DateParts { year: Some("2003".into()), season: Some("Spring".into()), ..Default::default() };
        let date = season.pub_date();
        assert_eq!((date.raw.as_deref(), date.year, date.date), (Some("2003 Spring"), Some(2003), None));
        for (words, year) in [("1998 Dec-1999 Jan", Some(1998)), ("Winter 1999-2000", Some(1999)), ("undated", None)] {
            let date = DateParts { medline_date: Some(words.into()), ..Default::default() }.pub_date();
            assert_eq!((date.raw.as_deref(), date.year), (Some(words), year));
        }
    }

    #[test]
    fn an_absent_date_is_the_default() {
        assert_eq!(DateParts::default().pub_date(), PubDate::default());
    }
}
