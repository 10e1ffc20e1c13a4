//! The examples of docs/migrating.md are tests: `ci/comparison.sh` runs them. Only this package
//! depends on the libraries that they migrate from, so only it must be compiled for them.

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/migrating.md")]
pub struct Migrating;
