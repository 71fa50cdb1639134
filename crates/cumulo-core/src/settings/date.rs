//! Dates as people write and read them.

use super::value::{Value, plain};
use crate::object::Timestamp;

impl Value for Timestamp {
    fn expects() -> String {
        "a date such as 2030-01-31 or 2030-01-31T10:00:00+02:00 (UTC without a zone)".into()
    }

    fn parse(text: &str) -> Option<Self> {
        let text = plain(text);
        let text = text.trim();
        let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
        let (time, offset) = split_zone(time.trim())?;
        let day = days(date)?;
        Some(Self(day * 86_400_000 + clock(time)? - offset * 60_000))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// The date and time in UTC, such as `2030-01-31T10:00:00.123`.
pub fn iso(timestamp: Timestamp) -> String {
    let text = iso_micros(timestamp.0.saturating_mul(1000));
    text[..text.len() - 3].to_owned()
}

/// The date and time in UTC of microseconds since the epoch, such as `2030-01-31T10:00:00.123456`.
pub fn iso_micros(micros: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    let (days, micros) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    // Count from March of the year 0, in eras of 400 years.
    let day = days + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// Days since the epoch of `2030-01-31` (also with slashes).
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split(['-', '/']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 || parts.next().is_some() {
        return None;
    }
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

/// Milliseconds since midnight of `10`, `10:00`, `10:00:00` or `10:00:00.123456`.
fn clock(time: &str) -> Option<i64> {
    if time.is_empty() {
        return Some(0);
    }
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut total = 0;
    let mut parts = time.split(':');
    for (unit, limit) in [(3600, 24), (60, 60), (1, 60)] {
        let Some(part) = parts.next() else { break };
        total += number(part).filter(|n| *n < limit)? * unit;
    }
    if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis = format!("{fraction:0<3}");
    Some(total * 1000 + number(millis.get(..3)?)?)
}

/// The time, and the minutes that its zone is ahead of UTC.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']).or_else(|| time.strip_suffix("UTC")) {
        return Some((time.trim_end(), 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let sign = if time.get(at..=at)? == "-" { -1 } else { 1 };
    let digits = time.get(at + 1..)?.replace(':', "");
    let (hours, minutes) = match digits.len() {
        2 => (number(&digits)?, 0),
        4 => (number(digits.get(..2)?)?, number(digits.get(2..)?)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| (time[..at].trim_end(), sign * (hours * 60 + minutes)))
}

fn number(digits: &str) -> Option<i64> {
    let short = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if short { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Option<i64> {
        Timestamp::parse(text).map(|t| t.0)
    }

    #[test]
    fn a_date_is_midnight_utc() {
        assert_eq!(millis("1970-01-01"), Some(0));
        assert_eq!(millis("2000-02-29"), Some(951_782_400_000));
        assert_eq!(millis("\"2012-05-03\""), Some(1_336_003_200_000));
        assert_eq!(millis("1969-12-31"), Some(-86_400_000));
    }

    #[test]
    fn a_time_may_be_short_or_precise() {
        assert_eq!(millis("1970-01-01 01:30"), Some(5_400_000));
        assert_eq!(millis("1970-01-01T00:00:01.5"), Some(1500));
        assert_eq!(millis("1970-01-01T00:00:01.123456"), Some(1123));
        assert_eq!(millis("1970-01-01T00:00:01Z"), Some(1000));
    }

    #[test]
    fn a_zone_counts() {
        assert_eq!(millis("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(millis("1970-01-01T00:00:00-0130"), Some(5_400_000));
    }

    #[test]
    fn what_is_written_can_be_read() {
        for day in (-800_000..800_000).step_by(997) {
            let moment = Timestamp(day * 86_400_000 + 45_296_789);
            let text = iso(moment);
            if (1..=9999).contains(&text[..4].parse::<i64>().unwrap_or(0)) && text.len() == 23 {
                assert_eq!(Timestamp::parse(&text), Some(moment), "{text}");
            }
        }
        assert_eq!(iso(Timestamp(951_782_400_001)), "2000-02-29T00:00:00.001");
    }

    #[test]
    fn other_texts_are_no_dates() {
        for text in [
            "soon",
            "2030",
            "2030-13-01",
            "2030-02-29",
            "2030-01-00",
            "2030-01-01T25:00",
            "2030-01-01T1:2:3:4",
            "2030-01-01Txx",
            "30-01-01",
            "2030-01-01T10:00:00.é",
            "é-é-é",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
