//! The default number of threads for inference: one per available physical core.
//!
//! The hardware threads of a core share its multipliers, so a second one would only compete for cache.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

/// Physical cores in the process's affinity mask, limited by its CPU quota. Hardware threads if the system does not
/// report cores.
pub(crate) fn physical_cores() -> NonZeroUsize {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let siblings = |processor| {
        std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")).ok()
    };
    cores(&status, siblings).map_or(threads, |cores| cores.min(threads))
}

/// Distinct cores of the processors that `/proc/<pid>/status` allows; `siblings` lists those that share a processor's core.
fn cores(status: &str, siblings: impl Fn(usize) -> Option<String>) -> Option<NonZeroUsize> {
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let cores: Option<BTreeSet<usize>> =
        processors(allowed)?.into_iter().map(|processor| processors(&siblings(processor)?)?.first().copied()).collect();
    NonZeroUsize::new(cores?.len())
}

/// Parses a list in the kernel's format, such as `0-3,8`.
fn processors(list: &str) -> Option<BTreeSet<usize>> {
    let mut all = BTreeSet::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four cores with two threads each: 0 and 4, 1 and 5, 2 and 6, 3 and 7.
    fn siblings(processor: usize) -> Option<String> {
        (processor < 8).then(|| format!("{},{}\n", processor % 4, processor % 4 + 4))
    }

    fn counted(mask: &str) -> Option<usize> {
        cores(&format!("Name:\tpubtag\nCpus_allowed_list:\t{mask}\n"), siblings).map(NonZeroUsize::get)
    }

    #[test]
    fn two_threads_of_a_core_count_once() {
        assert_eq!(counted("0-7"), Some(4));
        assert_eq!(counted("0-3"), Some(4));
        assert_eq!(counted("0,4"), Some(1));
        assert_eq!(counted("1-2,5"), Some(2));
    }

    #[test]
    fn cores_that_the_system_does_not_report_are_not_guessed() {
        assert_eq!(counted("0-11"), None);
        assert_eq!(counted("many"), None);
        assert_eq!(cores("Name:\tpubtag\n", siblings), None);
    }

    #[test]
    fn this_machine_has_a_core() {
        assert!(physical_cores() <= std::thread::available_parallelism().unwrap());
    }
}
