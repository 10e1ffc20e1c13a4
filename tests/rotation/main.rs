//! What a log that rotates promises. Each file says which promise it holds.

#[path = "../common/mod.rs"]
mod common;
#[path = "../rotated/mod.rs"]
mod rotated;

mod keep_free;
mod rotate;
mod rotate_fork;
mod rotate_lines;
mod rotate_trouble;
