//! Lists the files of a log.
//!
//! A listing of a folder may miss a file that is renamed or replaced while it runs: a rotation
//! renames `K.fresh` to `K`, and packing puts `K.gz` in the place of `K`. These are all changes of
//! a file, so of three listings, one after the other, at least one has it.
//!
//! That holds only for files that existed before the first listing. Of two files that come during a
//! listing, the listing may have the later one and lack the earlier one. So a file that is newer
//! than the newest of the first listing does not count. If the log is still the same file after the
//! listings, no file came, and all count.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;

use crate::logs::{Compression, Folder, Key, Kind, Names, list, successor};
use crate::primitives::os::file::id_of;

/// How many listings, one after the other, have each file.
const LISTINGS: usize = 3;

/// The rotated files, each with its forms, in the order in which they are to be tried.
pub(super) type Rotated = BTreeMap<Key, Vec<Form>>;

/// One form of a rotated file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    /// Whether it is packed. Plain files come first.
    pub is_packed: bool,
    pub name: OsString,
    /// Device and inode.
    pub id: (u64, u64),
}

/// The files of a log.
#[derive(Debug)]
pub(super) struct Listing {
    pub rotated: Rotated,
    /// The newest of the first listing: up to this one, none is missing.
    pub certain: Option<Key>,
    /// The name of the newest file: that of the log. After a loss of power a `.fresh` file may
    /// follow the log (see [`successor`]), until the next start; then the log is a rotated file.
    pub newest: OsString,
}

impl Listing {
    /// What is known before the first listing.
    pub fn before(log: &OsStr) -> Self {
        Self {
            rotated: Rotated::new(),
            certain: None,
            newest: log.to_owned(),
        }
    }

    /// Lists the files of the log with these names.
    ///
    /// # Errors
    ///
    /// Those of the listing.
    pub fn of(folder: &Folder, names: &Names) -> io::Result<Self> {
        let mut listing = Self::before(names.log());
        let mut next = None;
        for n in 0..LISTINGS {
            let found = list(folder, names)?;
            next = successor(&found, folder, names.log());
            for found in found {
                let is_packed = match found.kind {
                    Kind::Rotated(form) => form != Compression::None,
                    Kind::Fresh if found.len > 0 => false, // it is about to get its name
                    Kind::Fresh | Kind::Packing => continue,
                };
                let one = Form {
                    is_packed,
                    name: found.name,
                    id: found.id,
                };
                listing.add(found.key, one);
            }
            if n == 0 {
                listing.certain = listing.rotated.keys().last().copied();
            }
        }
        if let (Some(next), Ok(stat)) = (next, folder.stat(names.log())) {
            let forms = listing.rotated.entry(next.key).or_default();
            forms.retain(|form| form.name != next.name);
            let log = Form {
                is_packed: false,
                name: names.log().to_owned(),
                id: id_of(&stat),
            };
            listing.add(next.key, log);
            listing.newest = next.name;
        }
        let all = listing.rotated.values_mut();
        all.for_each(|forms| forms.sort());
        Ok(listing)
    }

    fn add(&mut self, key: Key, form: Form) {
        let forms = self.rotated.entry(key).or_default();
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
}
