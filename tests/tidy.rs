//! What this project wants of its own sources, and no compiler checks: orderings, layers, circles,
//! sizes, where `unsafe` may be, that the examples of its pages are tests, and that links lead to
//! what is there.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/orderings.rs"]
mod orderings;
#[path = "tidy/pages.rs"]
mod pages;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
