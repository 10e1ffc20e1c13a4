//! `alq::read`. Each file says which promise it holds.

mod damaged;
mod descriptor;
mod files;
mod follow;
mod frames;
mod written;
