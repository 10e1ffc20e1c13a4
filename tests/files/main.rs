//! What a queue promises about its sink and its ring file. Each file says which promise it holds.

#[path = "../common/mod.rs"]
mod common;

mod descriptors;
mod discard;
mod faults;
mod filters;
#[cfg(feature = "frames")]
mod frames;
#[cfg(feature = "frames")]
mod frames_header;
#[cfg(feature = "read")]
mod frames_ring;
mod framing;
mod in_doubt;
mod logrotate;
mod many_queues;
mod messages;
mod messages_too_long;
mod quiet_writes;
mod reopen;
mod reopen_cut;
mod reopen_durability;
mod reopen_files;
mod ring_between;
mod ring_close;
mod ring_file;
mod ring_folder;
mod ring_framing;
mod ring_identity;
mod ring_open;
mod ring_places;
mod ring_recorder;
mod ring_recorder_damage;
mod ring_sizes;
mod ring_version;
mod shared_pipe;
mod sinks;
mod torn_aside;
