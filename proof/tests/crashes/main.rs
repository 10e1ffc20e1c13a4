//! Models of what a kill leaves, and of sleep. Each has variants in which one step is
//! wrong or missing; the checker must find these.

mod ring_file;
mod rotation;
mod shipping;
mod waiting;
mod wrap;
