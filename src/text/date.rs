//! Dates and times in UTC.

/// Seconds per day.
const DAY: i64 = 86_400;

/// The last second of the year 9999, the last one that RFC 3339 can represent.
pub const LAST_TIME: u64 = 253_402_300_799;

/// Returns the number of days from 1970-01-01 to this date in the Gregorian calendar.
///
/// The computation starts each year in March, so that a leap day is the last day of the year.
#[must_use]
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 719_469
}

/// Returns year, month and day of the date that is this number of days after 1970-01-01.
fn civil(day: i64) -> (i64, i64, i64) {
    // This estimate is never too low, and at most a few years too high.
    let mut year = 1970 + day.div_euclid(if day < 0 { 366 } else { 365 });
    while days(year, 1, 1) > day {
        year -= 1;
    }
    let month = (2..=12).take_while(|&month| days(year, month, 1) <= day).last().unwrap_or(1);
    (year, month, day - days(year, month, 1) + 1)
}

/// Formats a time in seconds since 1970, for example as `2026-11-21 20:53 UTC`.
#[must_use]
pub fn date(seconds: i64) -> String {
    let minute = seconds.rem_euclid(DAY) / 60;
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

/// Formats a time in seconds since 1970 as in RFC 3339: `2026-11-21T20:53:07Z`. A time after the
/// year 9999 is shown as the last second of that year.
#[must_use]
pub fn rfc3339(seconds: u64) -> String {
    let seconds = seconds.min(LAST_TIME).cast_signed();
    let (year, month, day) = civil(seconds / DAY);
    let second = seconds % DAY;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Parses a time in UTC in the form that [`rfc3339`] returns. Returns `None` for other text, and
/// for a time before 1970.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (year, month_and_day) = date.split_once('-')?;
    let (month, day) = month_and_day.split_once('-')?;
    let (hour, minute_and_second) = time.split_once(':')?;
    let (minute, second) = minute_and_second.split_once(':')?;
    let number = |digits: &str, length: usize| -> Option<i64> {
        (digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(())?;
        digits.parse().ok()
    };
    let day = days(number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let second = (number(hour, 2)? * 60 + number(minute, 2)?) * 60 + number(second, 2)?;
    let seconds = u64::try_from(day * DAY + second).ok()?;
    // Formatting the result rejects every field that is out of range.
    (rfc3339(seconds) == text).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_gregorian_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
            (-315_619_200, "1960-01-01 00:00 UTC"),
            (-631_152_000, "1950-01-01 00:00 UTC"),
            (-62_135_596_800, "1-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn times_have_the_format_of_rfc_3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_401, "2000-02-29T00:00:01Z"),
            (1_795_035_187, "2026-11-18T20:53:07Z"),
            (LAST_TIME, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), expected);
            assert_eq!(parse_rfc3339(expected), Some(seconds));
        }
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
        for invalid in [
            "",
            "2026-11-18",
            "2026-11-18T20:53:07",
            "2026-11-18t20:53:07z",
            "2026-11-18T20:53:60Z",
            "2026-11-18T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "+026-11-18T20:53:07Z",
            "99999999999999999999-11-18T20:53:07Z",
        ] {
            assert_eq!(parse_rfc3339(invalid), None, "{invalid}");
        }
    }
}
