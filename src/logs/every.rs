//! The ends of periods: minutes, hours, days, weeks and months of a time zone.

use core::fmt;
use core::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use crate::words::{Error, RotationProblem as Problem};

/// Selects the periods of a log: each file has the records of one period.
///
/// Periods begin where the wall clock says so, not when the log was opened: `Day` at midnight,
/// `Minutes(10)` at :00, :10, :20 and so on, counted from midnight.
///
/// ```
/// use alq::rotate::Every;
///
/// assert_eq!("10m".parse(), Ok(Every::Minutes(10)));
/// assert_eq!("6h".parse(), Ok(Every::Minutes(360)));
/// assert_eq!("day".parse(), Ok(Every::Day));
/// assert!("fortnight".parse::<Every>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Every {
    /// A number of minutes, 1 to 1440, counted from midnight. If it does not divide the day, the
    /// last period of the day is shorter.
    Minutes(u32),
    /// From one full hour of the clock to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first day of a month to the first day of the next.
    Month,
}

impl Every {
    pub(super) const MINUTES_MAX: u32 = 24 * 60;
}

impl FromStr for Every {
    type Err = Error;

    /// Parses `hour`, `day`, `week`, `month`, or minutes or hours up to a day: `10m`, `6h`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |digits: &str, unit: u32| {
            let number: u32 = digits.parse().ok()?;
            let minutes = number.checked_mul(unit)?;
            (1..=Self::MINUTES_MAX)
                .contains(&minutes)
                .then_some(Self::Minutes(minutes))
        };
        let every = match text {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => match (text.strip_suffix('m'), text.strip_suffix('h')) {
                (Some(minutes), _) => number(minutes, 1),
                (_, Some(hours)) => number(hours, 60),
                _ => None,
            },
        };
        every.ok_or_else(|| {
            let text = text.to_owned();
            Error::Rotation(Box::new(Problem::UnknownPeriod { text }))
        })
    }
}

impl fmt::Display for Every {
    /// Writes the form that `FromStr` parses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes(minutes) => write!(f, "{minutes}m"),
            Self::Hour => f.write_str("hour"),
            Self::Day => f.write_str("day"),
            Self::Week => f.write_str("week"),
            Self::Month => f.write_str("month"),
        }
    }
}

/// The time zone in which periods end.
///
/// ```
/// use alq::rotate::Zone;
///
/// assert_eq!("utc".parse(), Ok(Zone::Utc));
/// assert_eq!("Europe/Berlin".parse(), Ok(Zone::Named("Europe/Berlin".to_owned())));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Zone {
    /// The zone of the system: `TZ`, or /etc/localtime.
    #[default]
    Local,
    /// Coordinated universal time.
    Utc,
    /// A zone by its name, or by a rule in the form of `TZ`: `CET-1CEST,M3.5.0,M10.5.0/3`.
    Named(String),
}

impl FromStr for Zone {
    type Err = core::convert::Infallible;

    /// Parses `local`, `utc`, or a name, which is looked up when the log is opened.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "local" => Self::Local,
            "utc" | "UTC" => Self::Utc,
            name => Self::Named(name.to_owned()),
        })
    }
}

/// Computes where the periods of one log end.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    every: Every,
    zone: TimeZone,
}

impl Calendar {
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for minutes out of range; [`Error::Rotation`] for an unknown zone.
    pub fn new(every: Every, zone: &Zone) -> Result<Self, Error> {
        if let Every::Minutes(minutes @ (0 | 1441..)) = every {
            return Err(Error::InvalidOption {
                option: "every",
                value: u64::from(minutes),
                allowed: "1 to 1440 minutes",
            });
        }
        let zone = match zone {
            Zone::Local => TimeZone::system(),
            Zone::Utc => TimeZone::UTC,
            Zone::Named(name) => TimeZone::get(name)
                .or_else(|_| TimeZone::posix(name))
                .map_err(|_| {
                    let name = name.clone();
                    Error::Rotation(Box::new(Problem::UnknownZone { name }))
                })?,
        };
        Ok(Self { every, zone })
    }

    /// The first end of a period after `seconds` since 1970; `None` at the end of the calendar.
    ///
    /// When summer time ends, an hour comes twice. The second one brings no new end, because the
    /// wall clock has shown that end before. When summer time begins, an hour is left out; it ends
    /// with the hour before it.
    pub fn end_after(&self, seconds: i64) -> Option<i64> {
        let now = Timestamp::from_second(seconds).ok()?;
        let mut local = self.zone.to_datetime(now);
        loop {
            local = self.next_end(local)?;
            let end = self.zone.to_timestamp(local).ok()?.as_second();
            if end > seconds {
                return Some(end);
            }
        }
    }

    /// The first end of a period after `local`, on the wall clock.
    fn next_end(&self, local: DateTime) -> Option<DateTime> {
        let date = local.date();
        let minutes = match self.every {
            Every::Minutes(minutes) => minutes,
            Every::Hour => 60,
            Every::Day => Every::MINUTES_MAX,
            Every::Week => return Some(date.nth_weekday(1, Weekday::Monday).ok()?.into()),
            Every::Month => return Some(date.last_of_month().tomorrow().ok()?.into()),
        };
        let minute =
            u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
        let end = (minute / minutes + 1) * minutes;
        if end >= Every::MINUTES_MAX {
            return Some(date.tomorrow().ok()?.into());
        }
        let time = Time::new((end / 60) as i8, (end % 60) as i8, 0, 0).ok()?;
        Some(date.to_datetime(time))
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::{Calendar, Every, Zone};
    use jiff::Timestamp;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    /// The ends of the `count` periods after `from`.
    fn ends(every: Every, zone: &str, from: &str, count: usize) -> Vec<String> {
        let calendar = Calendar::new(every, &zone.parse::<Zone>().unwrap()).unwrap();
        let mut at = from.parse::<Timestamp>().unwrap().as_second();
        let mut found = Vec::new();
        for _ in 0..count {
            at = calendar.end_after(at).unwrap();
            found.push(Timestamp::from_second(at).unwrap().to_string());
        }
        found
    }

    #[test]
    fn periods_end_where_the_clock_says_so() {
        let at = "2026-11-24T11:46:20Z";
        let first = |every| ends(every, "utc", at, 1).remove(0);
        assert_eq!(first(Every::Minutes(10)), "2026-11-24T11:50:00Z");
        assert_eq!(first(Every::Minutes(7 * 60)), "2026-11-24T14:00:00Z");
        assert_eq!(first(Every::Hour), "2026-11-24T12:00:00Z");
        assert_eq!(first(Every::Day), "2026-11-25T00:00:00Z");
        assert_eq!(first(Every::Week), "2026-11-30T00:00:00Z");
        assert_eq!(first(Every::Month), "2026-12-01T00:00:00Z");
        let local = ends(Every::Day, BERLIN, at, 1);
        assert_eq!(local, ["2026-11-24T23:00:00Z"]);
        let at_the_end = ends(Every::Minutes(7 * 60), "utc", "2026-11-24T21:00:00Z", 1);
        assert_eq!(at_the_end, ["2026-11-25T00:00:00Z"]);
    }

    /// At 01:00 UTC on October 25, 2026, it is 03:00 in Berlin, and then 02:00 once more.
    #[test]
    fn an_hour_that_comes_twice_is_one_period_and_the_day_has_twenty_five() {
        let hours = ends(Every::Hour, BERLIN, "2026-10-24T23:30:00Z", 3);
        let expected = [
            "2026-10-25T00:00:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T03:00:00Z",
        ];
        assert_eq!(hours, expected);
        let days = ends(Every::Day, BERLIN, "2026-10-24T12:00:00Z", 2);
        assert_eq!(days, ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
        let second_time = ends(Every::Minutes(10), BERLIN, "2026-10-25T01:15:00Z", 1);
        assert_eq!(second_time, ["2026-10-25T02:00:00Z"]);
    }

    /// At 01:00 UTC on March 29, 2026, the clock in Berlin jumps from 02:00 to 03:00.
    #[test]
    fn an_hour_that_is_left_out_has_no_period_and_the_day_has_twenty_three() {
        let hours = ends(Every::Hour, BERLIN, "2026-03-28T23:30:00Z", 3);
        let expected = [
            "2026-03-29T00:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T02:00:00Z",
        ];
        assert_eq!(hours, expected);
        let days = ends(Every::Day, BERLIN, "2026-03-28T12:00:00Z", 2);
        assert_eq!(days, ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
    }
}
