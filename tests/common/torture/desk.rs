//! Puts a ring file and its log into place, recovers them, and checks what must hold for any
//! content.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alq::{Error, Flags, Options, Recovery, RingFileProblem, ring_file};

/// Gives a file this content. It does not truncate the file first, because ext4 would then write it
/// to the disk at once.
pub fn put(path: &Path, bytes: &[u8]) {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path);
    let mut file = file.unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

/// The ring file, its log, and how both are opened.
pub struct Desk {
    pub ring: PathBuf,
    pub log: PathBuf,
    pub options: Box<dyn Fn() -> Options>,
}

impl Desk {
    pub fn new(folder: &Path, options: impl Fn() -> Options + 'static) -> Self {
        let ring = folder.join("ring");
        let path = ring.clone();
        Self {
            ring,
            log: folder.join("log"),
            options: Box::new(move || {
                let options = options().ring_file(&path);
                let options = options.stall_limit(Some(Duration::from_secs(10)));
                options.max_delay(Duration::from_micros(100)) // so that no test waits for a nap
            }),
        }
    }

    /// Recovers `ring` after the bytes of `log`, and appends `after`. Returns the recovery and the
    /// log, or the error.
    ///
    /// Panics if anything is recovered twice, or if an inspection reported something else.
    pub fn recover(
        &self,
        ring: &[u8],
        log: &[u8],
        after: &[u8],
    ) -> Result<(Recovery, Vec<u8>), RingFileProblem> {
        put(&self.ring, ring);
        put(&self.log, log);
        let told = ring_file::inspect(&self.ring);
        let queue = match (self.options)().open(&self.log) {
            Ok(queue) => queue,
            Err(Error::RingFile { problem, .. }) => {
                let is_changed = fs::read(&self.ring).unwrap() != ring;
                assert!(!is_changed, "a refused ring file is left as it is");
                assert_eq!(fs::read(&self.log).unwrap(), log);
                return Err(*problem);
            }
            Err(other) => panic!("{other}"),
        };
        let recovery = *queue.recovery().unwrap();
        let mut told = told.unwrap().pending;
        if told.possibly_repeated_bytes > 0 {
            // The inspection uses the noted path, which may be damaged.
            told.already_written_bytes = recovery.already_written_bytes;
            told.possibly_repeated_bytes = recovery.possibly_repeated_bytes;
        }
        assert_eq!(told, recovery, "what an inspection tells");
        queue.flush().unwrap(); // otherwise the append may wait for room without end
        match queue.writen(after, Flags::WAITOK) {
            Err(Error::WrongMode) => queue.write_fixed(after, Flags::WAITOK),
            other => other,
        }
        .unwrap();
        queue.close(None).unwrap();
        drop(queue);
        let mut text = fs::read(&self.log).unwrap();
        let grown =
            (log.len() + after.len()) as u64 + recovery.bytes - recovery.already_written_bytes;
        assert_eq!(text.len() as u64, grown, "{recovery:?}");
        assert!(text.starts_with(log) && text.ends_with(after));
        text.truncate(text.len() - after.len());
        let queue = (self.options)().open(&self.log).unwrap();
        assert_eq!(queue.recovery(), Some(&Recovery::default()), "once");
        Ok((recovery, text))
    }
}
