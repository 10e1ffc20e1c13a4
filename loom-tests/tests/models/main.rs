//! The models, a file for each protocol. They are one binary, so that they share the cores and one
//! run tests a mutant.

mod close;
mod completion;
mod dropped;
mod event;
mod failure;
mod flush;
mod full;
mod group_sync;
mod idle;
mod lanes;
mod loss;
mod misfit;
mod ordered;
mod publish;
mod quiet;
mod recorder;
mod reopen;
mod seal;
mod short_post;
mod shutdown;
mod wake_flusher;
mod wake_task;
mod wake_writer;
mod wrap;
