//! Models of what a kill leaves. Each has variants in which one step is
//! wrong or missing; the checker must find these.

mod ring_file;
mod rotation;
mod shipping;
mod wrap;
