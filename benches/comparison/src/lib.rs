//! The examples of docs/migrating.md are tests: here, where what they migrate from is a dependency
//! already.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrating.md")]
pub struct Migrating;
