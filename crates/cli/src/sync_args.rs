//! The options of `alq append` about what is on disk, and when.

use std::time::Duration;

use alq::{SyncOp, SyncPolicy};
use clap::Args;

/// When FILE is synced.
#[derive(Debug, Args)]
pub struct SyncOptions {
    /// Report success only after the data, and a new file's directory entry, are on disk
    #[arg(long)]
    pub fsync: bool,

    /// Sync FILE to disk when something is written and not synced for this long, 0.001 or more
    #[arg(
        long,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        value_parser = time
    )]
    pub sync_every: Option<Duration>,

    /// Sync FILE to disk when this size is written and not synced
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = size)]
    pub sync_bytes: Option<u64>,
}

impl SyncOptions {
    /// How often FILE is synced while input is read; `None` means never.
    pub fn policy(&self) -> Option<SyncPolicy> {
        let mut policy = None;
        if let Some(time) = self.sync_every {
            policy = Some(SyncPolicy::new().time(time));
        }
        if let Some(bytes) = self.sync_bytes {
            policy = Some(policy.unwrap_or_default().bytes(bytes));
        }
        policy
    }

    /// The sync at the end, and the option that asks for it. With a policy too, exit code 0 means
    /// that the data is on disk.
    pub fn last(&self) -> Option<(SyncOp, &'static str)> {
        let options = [
            (self.fsync, SyncOp::Full, "--fsync"),
            (self.sync_every.is_some(), SyncOp::Data, "--sync-every"),
            (self.sync_bytes.is_some(), SyncOp::Data, "--sync-bytes"),
        ];
        let given = options.iter().find(|(is_given, ..)| *is_given);
        given.map(|(_, op, name)| (*op, *name))
    }
}

fn time(text: &str) -> Result<Duration, &'static str> {
    let time = text.parse().ok();
    time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| *time >= Duration::from_millis(1))
        .ok_or("0.001 seconds or more, such as 0.1 or 5")
}

fn size(text: &str) -> Result<u64, &'static str> {
    let size = parse_size::Config::new().with_binary().parse_size(text);
    size.ok()
        .filter(|bytes| *bytes > 0)
        .ok_or("1 byte or more, such as 65536, 64K or 1M")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{size, time};

    #[test]
    fn times_and_sizes_have_a_lower_limit() {
        assert_eq!(time("0.001"), Ok(Duration::from_millis(1)));
        assert_eq!(time("5"), Ok(Duration::from_secs(5)));
        for text in ["0", "0.0001", "-1", "100ms", "inf", ""] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(size("1"), Ok(1));
        assert_eq!(size("1M"), Ok(1 << 20));
        for text in ["0", "-1", "much", ""] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
