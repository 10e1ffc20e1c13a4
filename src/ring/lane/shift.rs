//! Records of a lane with a framing: the caller gets the bytes between what the framing adds.
//!
//! This file changes only where the owner believes that its next record begins. Nothing that other
//! threads read changes before the commit, and every commit undoes the shift first.

use core::mem;

use super::Owner;

impl Owner {
    /// Moves the record that was begun `front` bytes on, and takes `back` bytes from its end.
    /// [`unshift`](Owner::unshift) must come before it is posted.
    ///
    /// # Panics
    ///
    /// If the record has fewer bytes.
    pub fn shift(&mut self, front: u32, back: u32) {
        debug_assert!(self.shifted == (0, 0));
        if let Some(single) = self.single.take() {
            self.single = Some(single.narrow(front, back));
        } else {
            assert!(front + back <= self.span.room());
            self.span.committed += front;
        }
        self.shifted = (front, back);
    }

    /// Undoes the [`shift`](Owner::shift), if there was one.
    pub fn unshift(&mut self) {
        let (front, back) = mem::take(&mut self.shifted);
        if let Some(single) = self.single.take() {
            self.single = Some(single.widen(front, back));
        } else {
            self.span.committed -= front;
        }
    }

    /// Returns the position of the first byte that the caller fills.
    pub fn fills_at(&self) -> u64 {
        match &self.single {
            Some(single) => single.start(),
            None => self.span.start + u64::from(self.span.committed),
        }
    }
}
