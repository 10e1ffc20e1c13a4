//! A parser for option values of which some have names. The completions of shells offer the names.

use std::ffi::OsStr;

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
