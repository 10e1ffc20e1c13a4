//! `alq::read`. Each file says which promise it holds.

mod files;
mod follow;
mod frames;
