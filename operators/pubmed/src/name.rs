//! File names of the PubMed distribution.

/// The baseline year and number of a file of the PubMed distribution.
///
/// `pubmed26n0001.xml.gz` is file 1 of the 2026 baseline; until 2017, names began with `medline`.
pub fn distribution(file_name: &str) -> Option<(i32, i32)> {
    let rest = file_name.strip_prefix("pubmed").or_else(|| file_name.strip_prefix("medline"))?;
    let (year, rest) = rest.split_once('n')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, ending) = rest.split_at(digits);
    let whole = year.len() == 2 && year.bytes().all(|b| b.is_ascii_digit()) && (4..=6).contains(&digits);
    (whole && ending.starts_with('.')).then_some(())?;
    Some((2000 + year.parse::<i32>().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_file_name_gives_year_and_number() {
        assert_eq!(distribution("pubmed26n0001.xml.gz"), Some((2026, 1)));
        assert_eq!(distribution("pubmed25n12345.xml"), Some((2025, 12_345)));
        assert_eq!(distribution("medline17n0892.xml.gz"), Some((2017, 892)));
    }

    #[test]
    fn other_names_give_nothing() {
        for name in
            ["pubmed.xml", "pubmedsample18n0001.xml.gz", "pubmed26n01.xml", "pubmed2026n0001.xml", "pubmed26n0001"]
        {
            assert_eq!(distribution(name), None, "{name}");
        }
    }
}
