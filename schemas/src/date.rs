//! Dates as PubMed gives them: often less than a day, sometimes a season.

/// A day of the Gregorian calendar, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CivilDate {
    year: i32,
    month: u8,
    day: u8,
}

impl CivilDate {
    /// A date, if there is such a day in years 1 to 9999.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        ((1..=9999).contains(&year) && (1..=days).contains(&day)).then_some(Self { year, month, day })
    }

    /// Days since 1970-01-01, as Arrow's `Date32` counts them.
    ///
    /// Howard Hinnant's `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>).
    pub fn days_since_epoch(self) -> i32 {
        let (m, d) = (i32::from(self.month), i32::from(self.day));
        let y = self.year - i32::from(m <= 2);
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let day_of_year = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }
}

/// A publication date: the words as they stand, and what can be read out of them without guessing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PubDate {
    /// The date as the record gives it (`2003 Spring`, `1998 Dec-1999 Jan`, `2016 Mar 4`).
    pub raw: Option<String>,
    /// The year, where one is given.
    pub year: Option<i32>,
    /// The day, only where year, month and day are all given.
    pub date: Option<CivilDate>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        let days = |y, m, d| CivilDate::new(y, m, d).map(CivilDate::days_since_epoch);
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(1969, 12, 31), Some(-1));
        assert_eq!(days(2026, 11, 23), Some(20_780));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        assert!(CivilDate::new(2023, 2, 29).is_none());
        assert!(CivilDate::new(1900, 2, 29).is_none());
        assert!(CivilDate::new(2000, 2, 29).is_some());
        assert!(CivilDate::new(2024, 13, 1).is_none());
        assert!(CivilDate::new(2024, 4, 31).is_none());
        assert!(CivilDate::new(2024, 0, 1).is_none());
    }
}
