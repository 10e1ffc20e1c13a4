//! The head of a record that was written in part: what another file must get once more, to have the record whole.

use std::io::IoSlice;

/// What has been written since the last record end that the drain knows. Empty unless a short write ended inside a
/// record; the ring itself has let go of these bytes.
#[derive(Debug, Default)]
pub(super) struct Torn {
    bytes: Vec<u8>,
}

/// More than this is not kept for the next time.
const KEPT_MAX: usize = 1 << 16;

impl Torn {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The drain stands at a record's end.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_MAX {
            self.bytes = Vec::new();
        }
    }

    /// `written` went out, and ends inside a record; the last record end is `whole` bytes into it, or before it.
    pub(super) fn follow(&mut self, written: &[IoSlice<'_>], whole: Option<u32>) {
        let mut skip = match whole {
            Some(whole) => {
                self.clear();
                whole as usize
            }
            None => 0,
        };
        for run in written {
            let skipped = skip.min(run.len());
            self.bytes.extend_from_slice(&run[skipped..]);
            skip -= skipped;
        }
    }
}
