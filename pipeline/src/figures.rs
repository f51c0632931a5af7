//! Numbers for people.

use std::time::Duration;

use indicatif::HumanCount;

/// A number with thousands separators.
pub(crate) fn grouped(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A number of things whose plural ends in s.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    plural(count, noun, &format!("{noun}s"))
}

/// A number of things.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A span of time in its two largest units.
pub(crate) fn human_time(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.max(0.0)).as_secs();
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 41_000_000].map(grouped), ["0", "999", "1,000", "41,000,000"]);
    }
}
