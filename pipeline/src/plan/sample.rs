//! A sample of the inputs: some whole files, and some of their citations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use pubtag_pubmed::{ReadOptions, Source, read_unit};
use pubtag_schemas::{Citation, InputUnit, Outcome, Packet, Record, Tally};
use pubtag_stream::Meter;
use serde::Serialize;

use crate::exit::Failure;

/// Files that are read, at most.
const FILES: usize = 8;

/// Time after which no further file is read.
const TIME: Duration = Duration::from_secs(20);

/// Of every this many citations, one is tagged: a prefix of a file would be of one age.
const MOST_APART: u64 = 64;

/// Bytes of a file for each citation that is tagged, so that small files give several.
const BYTES_APART: u64 = 64 << 10;

/// Citations of a sample.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Those to tag, of all files in turn.
    pub(super) citations: Vec<Citation>,
    /// What the files contain.
    pub(super) counted: Counted,
}

/// What was counted in whole files.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counted {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) citations: u64,
    pub(crate) deletions: u64,
    pub(crate) rejects: u64,
    /// Time that reading took.
    pub(crate) seconds: f64,
}

/// Reads files from all over the inputs until there are enough or the time is up; at least one.
///
/// # Errors
/// A file cannot be read; those that are damaged are passed over with a warning.
pub(super) async fn read(units: &[Arc<InputUnit>], options: &ReadOptions) -> Result<Sample, Failure> {
    let started = Instant::now();
    let options = ReadOptions { limit: None, ..options.clone() };
    let (mut by_file, mut counted) = (Vec::new(), Counted::default());
    for unit in spread(units) {
        if !by_file.is_empty() && started.elapsed() > TIME {
            break;
        }
        if let Some((citations, tally, bytes)) = read_whole(&unit, &options).await? {
            by_file.push(citations.into_iter());
            counted.add(tally, bytes);
        }
    }
    counted.seconds = started.elapsed().as_secs_f64();
    Ok(Sample { citations: in_turn(by_file), counted })
}

impl Counted {
    fn add(&mut self, tally: Tally, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
        self.citations += tally.citations;
        self.deletions += tally.deletions;
        self.rejects += tally.rejects;
    }
}

/// Evenly spread units, in an order in which the first few are spread, too.
fn spread(units: &[Arc<InputUnit>]) -> impl Iterator<Item = Arc<InputUnit>> {
    let count = units.len().min(FILES);
    // 11 has no factor in common with any number up to 8, so each is visited once.
    let order = (0..count).map(move |step| (step * 11 + count / 2) % count);
    order.map(move |place| units[(2 * place + 1) * units.len() / (2 * count)].clone())
}

/// Some citations of a file, and what it contains; `None` if it is damaged.
async fn read_whole(
    unit: &Arc<InputUnit>,
    options: &ReadOptions,
) -> Result<Option<(Vec<Citation>, Tally, u64)>, Failure> {
    let apart = (unit.size.unwrap_or(0) / BYTES_APART).clamp(1, MOST_APART);
    let mut packets = read_unit(unit.clone(), options.clone(), Meter::new(Source::NAME));
    let (mut citations, mut seen) = (Vec::new(), 0);
    while let Some(packet) = packets.next().await {
        match packet? {
            Packet::Open(_) => {}
            Packet::Items(records) => {
                for record in records {
                    let Record::Document(citation) = record else { continue };
                    if seen % apart == 0 {
                        citations.push(*citation);
                    }
                    seen += 1;
                }
            }
            Packet::Close(close) => match close.outcome {
                Outcome::Quarantined(reason) => tracing::warn!("left out of the sample: {reason}"),
                _ => return Ok(Some((citations, close.tally, close.bytes))),
            },
        }
    }
    Ok(None)
}

/// One of each, again and again, so that any prefix is of all of them.
fn in_turn<T>(mut lists: Vec<impl Iterator<Item = T>>) -> Vec<T> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::Location;

    use super::*;

    #[test]
    fn samples_are_spread_over_all_inputs_from_the_first_few_on() {
        for count in 1..40 {
            let units: Vec<_> =
                (0..count).map(|index| Arc::new(InputUnit::new(index, Location::File(index.to_string())))).collect();
            let chosen: Vec<usize> = spread(&units).map(|unit| unit.index).collect();
            let distinct: std::collections::BTreeSet<_> = chosen.iter().collect();
            assert_eq!((chosen.len(), distinct.len()), (count.min(FILES), count.min(FILES)), "{count}: {chosen:?}");
        }
        let units: Vec<_> =
            (0..80).map(|index| Arc::new(InputUnit::new(index, Location::File(index.to_string())))).collect();
        assert_eq!(spread(&units).map(|unit| unit.index).collect::<Vec<_>>(), [45, 75, 25, 55, 5, 35, 65, 15]);
    }

    #[test]
    fn citations_of_all_files_take_turns() {
        let lists = vec![vec![1, 4, 6].into_iter(), vec![2].into_iter(), vec![3, 5].into_iter()];
        assert_eq!(in_turn(lists), [1, 2, 3, 4, 5, 6]);
    }
}
