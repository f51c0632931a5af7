//! The order in which NLM requires PubMed's files to be applied.

use std::sync::Arc;

use pubtag_schemas::InputUnit;

/// Puts the files of the PubMed distribution in order: by generation, then by number, which runs on from the baseline into the
/// update files. Other inputs keep their positions, and files with the same number their order.
pub(crate) fn in_pubmed_order(units: &mut [Arc<InputUnit>]) {
    let number = |unit: &InputUnit| Some((unit.generation?, unit.file_seq?));
    let positions: Vec<usize> = (0..units.len()).filter(|&at| number(&units[at]).is_some()).collect();
    let mut numbered: Vec<Arc<InputUnit>> = positions.iter().map(|&at| units[at].clone()).collect();
    numbered.sort_by_key(|unit| number(unit));
    for (at, unit) in positions.into_iter().zip(numbered) {
        units[at] = Arc::new(InputUnit { index: at, ..InputUnit::clone(&unit) });
    }
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::Location;
    use pubtag_schemas::distribution;

    use super::*;

    fn ordered(names: &[&str]) -> Vec<String> {
        let unit = |(index, name): (usize, &&str)| {
            let mut unit = InputUnit::new(index, Location::File(format!("/in/{name}")));
            (unit.generation, unit.file_seq) = distribution(unit.file_name()).unzip();
            Arc::new(unit)
        };
        let mut units: Vec<_> = names.iter().enumerate().map(unit).collect();
        in_pubmed_order(&mut units);
        assert!(units.iter().enumerate().all(|(at, unit)| unit.index == at));
        units.iter().map(|unit| unit.uri()["/in/".len()..].to_owned()).collect()
    }

    #[test]
    fn baseline_files_come_before_update_files_whatever_their_directories() {
        let names = ["updatefiles/pubmed26n0004.xml.gz", "updatefiles/pubmed26n0003.xml.gz", "z.jsonl"];
        let others = ["baseline/pubmed26n0001.xml.gz", "baseline/pubmed26n0002.xml.gz", "a/pubmed25n1600.xml.gz"];
        assert_eq!(
            ordered(&[names, others].concat()),
            [
                "a/pubmed25n1600.xml.gz",
                "baseline/pubmed26n0001.xml.gz",
                "z.jsonl",
                "baseline/pubmed26n0002.xml.gz",
                "updatefiles/pubmed26n0003.xml.gz",
                "updatefiles/pubmed26n0004.xml.gz",
            ]
        );
    }

    #[test]
    fn other_inputs_and_equal_numbers_keep_their_order() {
        let names = ["b.jsonl", "y/pubmed26n0001.xml", "a.jsonl", "x/pubmed26n0001.xml"];
        assert_eq!(ordered(&names), names);
    }
}
