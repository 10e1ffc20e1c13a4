//! What this project wants of its own sources, and no compiler checks: orderings, layers, sizes, and where `unsafe` may be.

#[path = "tidy/orderings.rs"]
mod orderings;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
