//! Which inputs are in a shard.

use sha2::{Digest, Sha256};

use crate::cli::Shard;

impl Shard {
    /// Whether a file belongs to this shard: of all shards of the same count, exactly one has it. It depends on the file's
    /// name alone, so it is the same on every machine, in every directory, and whatever other files there are.
    pub(crate) fn has(self, file_name: &str) -> bool {
        let hash = Sha256::digest(file_name);
        let start = hash.first_chunk().expect("a SHA-256 has 32 bytes");
        u64::from_be_bytes(*start) % self.count == self.index
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_file_is_in_exactly_one_shard(name in ".{0,40}", count in 1_u64..200) {
            let shards = (0..count).filter(|&index| Shard { index, count }.has(&name));
            prop_assert_eq!(shards.count(), 1);
        }
    }

    #[test]
    fn the_shard_of_a_name_never_changes() {
        // Computed with Python: int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % 16.
        let index = |name| (0..16).find(|&index| Shard { index, count: 16 }.has(name));
        assert_eq!(["pubmed26n0001.xml.gz", "pubmed26n0002.xml.gz", "a.jsonl"].map(index), [3, 1, 0].map(Some));
    }

    #[test]
    fn a_baseline_is_divided_about_evenly() {
        let of = |index| {
            let shard = Shard { index, count: 16 };
            (1..=1334).filter(|number| shard.has(&format!("pubmed26n{number:04}.xml.gz"))).count()
        };
        let sizes: Vec<usize> = (0..16).map(of).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 1334);
        assert!(sizes.iter().all(|size| (60..=107).contains(size)), "{sizes:?}");
    }
}
