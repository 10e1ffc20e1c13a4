//! The sources keep the rules that no compiler checks: orderings, layers, circles, sizes, the
//! places of `unsafe`, tested examples in pages, and links that resolve.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/orderings.rs"]
mod orderings;
#[path = "tidy/pages.rs"]
mod pages;
#[path = "tidy/platforms.rs"]
mod platforms;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/twins.rs"]
mod twins;
