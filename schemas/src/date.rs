//! Dates as PubMed gives them: often less than a day, sometimes a season.

pub use jiff::civil::Date;

/// A day of the Gregorian calendar, if it exists in years 1 to 9999.
pub fn civil_date(year: i32, month: u8, day: u8) -> Option<Date> {
    let year = i16::try_from(year).ok().filter(|&year| year > 0)?;
    Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()
}

/// Days since 1970-01-01, as Arrow's `Date32` counts them.
pub fn days_since_epoch(day: Date) -> i32 {
    (day - jiff::civil::date(1970, 1, 1)).get_days()
}

/// A publication date: the source's own words, and what can be read from them without guessing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PubDate {
    /// The date as the record gives it (`2003 Spring`, `1998 Dec-1999 Jan`, `2016 Mar 4`).
    pub raw: Option<String>,
    /// The year, where one is given.
    pub year: Option<i32>,
    /// The day, only where year, month and day are all given.
    pub date: Option<Date>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        let days = |y, m, d| civil_date(y, m, d).map(days_since_epoch);
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(1969, 12, 31), Some(-1));
        assert_eq!(days(2026, 11, 23), Some(20_780));
        assert_eq!((days(1, 1, 1), days(9999, 12, 31)), (Some(-719_162), Some(2_932_896)));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        assert!(civil_date(2023, 2, 29).is_none());
        assert!(civil_date(1900, 2, 29).is_none());
        assert!(civil_date(2000, 2, 29).is_some());
        assert!(civil_date(2024, 13, 1).is_none());
        assert!(civil_date(2024, 4, 31).is_none());
        assert!(civil_date(2024, 0, 1).is_none());
        assert!(civil_date(0, 1, 1).is_none() && civil_date(10_000, 1, 1).is_none());
    }
}
