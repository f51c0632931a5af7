//! Generations: which files one consists of, what is missing, and whether its baseline is complete.

use std::collections::{BTreeMap, BTreeSet};

use crate::held::Held;
use crate::listing::Listings;
use crate::{Folder, PubmedFile};

/// The numbers of one generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Baseline files that the server lists or the mirror holds.
    baseline: BTreeSet<u16>,
    /// The same for update files.
    updates: BTreeSet<u16>,
    /// The highest number of the baseline that is listed at all: of a file, its checksum or its statistics.
    last_in_baseline: u16,
    /// The same for the update files.
    last_in_updates: u16,
    /// The last baseline file, as the server's README declares it.
    declared_last: Option<u16>,
    /// Numbers that are known to have been left out.
    known_gaps: BTreeSet<u16>,
    /// Whether the server lists any file of it.
    pub(crate) listed: bool,
}

impl Generation {
    /// All generations, by year.
    pub(crate) fn all(listings: &Listings, held: &Held, known_gaps: &BTreeSet<PubmedFile>) -> BTreeMap<u16, Self> {
        let mut all = BTreeMap::<u16, Self>::new();
        for folder in [Folder::Baseline, Folder::Updates] {
            let listed = listings.of(folder).files.iter().map(|(file, listed)| (*file, true, listed.data));
            let in_mirror = held.of(folder).keys().map(|file| (*file, false, true));
            for (file, is_listed, exists) in listed.chain(in_mirror) {
                let generation = all.entry(file.generation()).or_default();
                generation.listed |= is_listed;
                let (numbers, last) = match folder {
                    Folder::Baseline => (&mut generation.baseline, &mut generation.last_in_baseline),
                    Folder::Updates => (&mut generation.updates, &mut generation.last_in_updates),
                };
                *last = file.number().max(*last);
                if exists {
                    numbers.insert(file.number());
                }
            }
        }
        for gap in known_gaps {
            if let Some(generation) = all.get_mut(&gap.generation()) {
                generation.known_gaps.insert(gap.number());
            }
        }
        if let Some(last) = listings.last_of_baseline
            && let Some(generation) = all.get_mut(&last.generation())
        {
            generation.declared_last = Some(last.number());
        }
        all
    }

    /// The number of the last baseline file, as far as it is known: as declared, or because update files go on from there.
    pub(crate) fn last_of_baseline(&self) -> Option<u16> {
        let last = self.last_in_baseline;
        match self.declared_last {
            _ if !self.has_baseline() => None,
            Some(declared) => Some(declared.max(last)),
            None => {
                let next = (last + 1..).find(|number| !self.known_gaps.contains(number))?;
                self.updates.contains(&next).then_some(last)
            }
        }
    }

    /// Whether the generation has any baseline file; without one, its update files cannot be used.
    pub(crate) fn has_baseline(&self) -> bool {
        !self.baseline.is_empty()
    }

    /// The numbers that must exist and are neither listed nor held, in a folder.
    pub(crate) fn missing(&self, folder: Folder, since: u16) -> Vec<u16> {
        self.absent(folder, since).filter(|number| !self.known_gaps.contains(number)).collect()
    }

    /// The numbers that are known to have been left out, and are neither listed nor held, in a folder.
    pub(crate) fn gaps(&self, folder: Folder, since: u16) -> Vec<u16> {
        self.absent(folder, since).filter(|number| self.known_gaps.contains(number)).collect()
    }

    /// The numbers up to the highest that are neither listed nor held, in a folder: those up to the last baseline file
    /// belong to the baseline, the others to the updates.
    fn absent(&self, folder: Folder, since: u16) -> impl Iterator<Item = u16> {
        let last = self.last_of_baseline().unwrap_or(self.last_in_baseline);
        let numbers = match folder {
            Folder::Baseline => 1..=last,
            Folder::Updates => last + 1..=self.last_in_updates,
        };
        let exists = |number: &u16| self.baseline.contains(number) || self.updates.contains(number);
        numbers.filter(move |number| *number >= since && !exists(number))
    }

    /// Whether the mirror holds every baseline file from `since` on that NLM issued.
    pub(crate) fn is_baseline_held(&self, year: u16, held: &Held, since: u16) -> bool {
        let is_held = |number| PubmedFile::new(year, number).is_some_and(|file| held.baseline.contains_key(&file));
        let is_gap = |number| self.known_gaps.contains(&number) && !self.baseline.contains(&number);
        match self.last_of_baseline() {
            Some(last) => (since..=last).all(|number| is_held(number) || is_gap(number)),
            // Nobody has its baseline any more, and none of it is wanted.
            None => !self.has_baseline() && self.updates.first().is_some_and(|first| *first <= since),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn generation(baseline: &[u16], updates: &[u16], declared_last: Option<u16>) -> Generation {
        let last = |numbers: &[u16]| numbers.iter().copied().max().unwrap_or(0);
        Generation {
            last_in_baseline: last(baseline),
            last_in_updates: last(updates),
            baseline: baseline.iter().copied().collect(),
            updates: updates.iter().copied().collect(),
            declared_last,
            known_gaps: BTreeSet::new(),
            listed: true,
        }
    }

    #[test]
    fn update_files_that_follow_tell_where_the_baseline_ends() {
        assert_eq!(generation(&[1, 2, 3], &[4, 5], None).last_of_baseline(), Some(3));
        assert_eq!(generation(&[1, 2, 3], &[], None).last_of_baseline(), None);
        // 3 or 4 may be the last.
        assert_eq!(generation(&[1, 2, 3], &[5], None).last_of_baseline(), None);
        assert_eq!(generation(&[1, 2], &[5], Some(3)).last_of_baseline(), Some(3));
    }

    #[test]
    fn every_number_up_to_the_highest_must_exist() {
        let gaps = |g: &Generation| (g.missing(Folder::Baseline, 1), g.missing(Folder::Updates, 1));
        let none = Vec::<u16>::new;
        assert_eq!(gaps(&generation(&[1, 2, 3], &[4, 5], None)), (none(), none()));
        assert_eq!(gaps(&generation(&[1, 3], &[4, 6], None)), (vec![2], vec![5]));
        assert_eq!(gaps(&generation(&[1, 2], &[5], Some(3))), (vec![3], vec![4]));
        assert_eq!(gaps(&generation(&[1, 2], &[5], None)), (none(), vec![3, 4]));
        assert_eq!(gaps(&generation(&[2], &[], None)), (vec![1], none()));
        assert_eq!(generation(&[1, 4], &[], None).missing(Folder::Baseline, 3), [3]);
    }

    #[test]
    fn known_gaps_are_not_missing_and_do_not_hide_where_the_baseline_ends() {
        let with = |gaps: &[u16], generation: Generation| Generation {
            known_gaps: gaps.iter().copied().collect(),
            ..generation
        };
        let known = with(&[2, 4, 7], generation(&[1, 3], &[5, 6, 8, 10], None));
        assert_eq!(known.last_of_baseline(), Some(3));
        assert_eq!((known.missing(Folder::Baseline, 1), known.gaps(Folder::Baseline, 1)), (vec![], vec![2]));
        assert_eq!((known.missing(Folder::Updates, 1), known.gaps(Folder::Updates, 1)), (vec![9], vec![4, 7]));
        // A gap that NLM fills is a file like any other.
        let filled = with(&[2], generation(&[1, 2, 3], &[4], None));
        assert!(filled.gaps(Folder::Baseline, 1).is_empty() && filled.missing(Folder::Baseline, 1).is_empty());
        let files = |numbers: &[u16]| {
            let file = |number: &u16| (PubmedFile::new(2026, *number).unwrap(), crate::place::HeldFile::default());
            Held { baseline: numbers.iter().map(file).collect(), updates: BTreeMap::new() }
        };
        assert!(!filled.is_baseline_held(2026, &files(&[1, 3]), 1));
        assert!(known.is_baseline_held(2026, &files(&[1, 3]), 1));
        assert!(!known.is_baseline_held(2026, &files(&[1]), 1));
    }

    proptest! {
        #[test]
        fn what_is_taken_from_a_whole_generation_is_found_missing(
            last in 1_u16..60, updates in 1_u16..60, taken in prop::collection::btree_set(1_u16..119, 0..20)
        ) {
            let all = last + updates;
            let left = |numbers: std::ops::RangeInclusive<u16>| -> Vec<u16> {
                numbers.filter(|number| !taken.contains(number) || *number == all || *number == 1).collect()
            };
            let generation = generation(&left(1..=last), &left(last + 1..=all), Some(last));
            let mut missing = generation.missing(Folder::Baseline, 1);
            prop_assert!(missing.iter().all(|number| *number <= last));
            missing.extend(generation.missing(Folder::Updates, 1));
            let expected: Vec<u16> = taken.iter().copied().filter(|n| *n < all && *n > 1).collect();
            prop_assert_eq!(missing, expected);
        }
    }
}
