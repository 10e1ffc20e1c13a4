//! Parsers for option values: of which some have names, which the completions of shells offer, and
//! numbers of seconds.

use std::ffi::OsStr;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, Error};

/// Parses values, and lists the named ones.
#[derive(Clone, Copy, Debug)]
pub struct Named<T> {
    names: &'static [&'static str],
    parse: fn(&str) -> Result<T, &'static str>,
}

impl<T> Named<T> {
    pub const fn new(
        names: &'static [&'static str],
        parse: fn(&str) -> Result<T, &'static str>,
    ) -> Self {
        Self { names, parse }
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Named<T> {
    type Value = T;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let parse = self.parse;
        let parser = move |text: &str| parse(text);
        TypedValueParser::parse_ref(&parser, cmd, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().map(PossibleValue::new)))
    }
}

/// Parses a number of seconds.
pub fn seconds(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or("a number of seconds, such as 0.5 or 60")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::seconds;

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(seconds("5"), Ok(Duration::from_secs(5)));
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["", "-1", "inf", "NaN", "5s", "1e300"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
