//! Suggestions for misspelled names.

/// Names below this similarity (Jaro-Winkler, from 0 to 1) are not suggested.
const SIMILAR: f64 = 0.8;

/// The most similar of some names, if any is similar at all.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |candidate: &'a str| (strsim::jaro_winkler(name, candidate), candidate);
    let similar = names.map(similarity).filter(|(similarity, _)| *similarity > SIMILAR);
    similar.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_unless_it_is_too_different() {
        let names = ["epochs", "batch-size", "max-rejects", "output"];
        for (name, expected) in [
            ("epoch", Some("epochs")),
            ("batchsize", Some("batch-size")),
            ("max-reject", Some("max-rejects")),
            ("colour", None),
        ] {
            assert_eq!(nearest(name, names.into_iter()), expected, "{name}");
        }
    }
}
