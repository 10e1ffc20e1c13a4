//! The identity of a file, and the note in a packed file that says which file it was packed from.
//!
//! A rotation renames a file and packing replaces it, so neither name nor inode alone identifies
//! the bytes. A packed file therefore begins with the identity of the plain file, in a place that
//! other programs skip:
//!
//! | form | place |
//! |---|---|
//! | gzip | an extra field of the header with the two letters `AQ`. Source: RFC 1952, 2.3.1.1 |
//! | zstd | a skippable frame before the data, with magic 0x184D2A5A. Source: RFC 8878, 3.1.2 |

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::primitives::os::file::created;

/// Identifies a file of one machine, also after its name has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub device: u64,
    pub inode: u64,
    /// When the inode was made, in nanoseconds since 1970. 0 if the file system does not say.
    pub born_ns: i64,
}

impl FileId {
    const LEN: usize = 24;

    /// The identity of an open file.
    ///
    /// # Errors
    ///
    /// Those of fstat(2).
    pub fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let born = created(file, &metadata);
        let born_ns = born.and_then(|born| i64::try_from(born.as_nanos()).ok());
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            born_ns: born_ns.unwrap_or(0),
        })
    }

    /// Device and inode.
    pub const fn pair(self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether both are the same file. The number of a device may change when the machine starts,
    /// so it counts only if the time of birth is not known.
    pub fn is_same(self, other: Self) -> bool {
        let is_born_known = self.born_ns != 0 && other.born_ns != 0;
        self.inode == other.inode
            && if is_born_known {
                self.born_ns == other.born_ns
            } else {
                self.device == other.device
            }
    }

    #[cfg(any(feature = "gzip", feature = "zstd"))]
    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.device.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.inode.to_le_bytes());
        bytes[16..].copy_from_slice(&self.born_ns.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let word = |at: usize| *bytes[at..].first_chunk().expect("24 bytes");
        Some(Self {
            device: u64::from_le_bytes(word(0)),
            inode: u64::from_le_bytes(word(8)),
            born_ns: i64::from_le_bytes(word(16)),
        })
    }
}

/// The letters of our extra field of gzip.
const GZIP_FIELD: [u8; 2] = *b"AQ";

/// The magic of our skippable frame of zstd.
const ZSTD_MAGIC: u32 = 0x184D_2A5A;

/// The first bytes of the content of our skippable frame.
const ZSTD_TAG: [u8; 4] = *b"alq1";

/// The extra field of a gzip header that notes `origin`.
#[cfg(feature = "gzip")]
pub(super) fn gzip_field(origin: FileId) -> Vec<u8> {
    let mut field = GZIP_FIELD.to_vec();
    field.extend((FileId::LEN as u16).to_le_bytes());
    field.extend(origin.to_bytes());
    field
}

/// The skippable frame of zstd that notes `origin`.
#[cfg(feature = "zstd")]
pub(super) fn zstd_frame(origin: FileId) -> Vec<u8> {
    let mut frame = ZSTD_MAGIC.to_le_bytes().to_vec();
    let len = ZSTD_TAG.len() + FileId::LEN;
    frame.extend((len as u32).to_le_bytes());
    frame.extend(ZSTD_TAG);
    frame.extend(origin.to_bytes());
    frame
}

/// Returns the identity of the file that `packed` was packed from. `None` if it does not say, as
/// when another program has packed it.
///
/// # Errors
///
/// Those of pread(2).
pub(crate) fn origin(packed: &File) -> io::Result<Option<FileId>> {
    let mut bytes = [0; 64];
    let mut len = 0;
    while len < bytes.len() {
        match packed.read_at(&mut bytes[len..], len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let bytes = &bytes[..len];
    Ok(gzip_origin(bytes).or_else(|| zstd_origin(bytes)))
}

fn gzip_origin(bytes: &[u8]) -> Option<FileId> {
    const HAS_EXTRA: u8 = 4;
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b, 8]) && bytes.get(3)? & HAS_EXTRA != 0;
    // Our packer writes no other field.
    let field = bytes.get(12..12 + 4 + FileId::LEN).filter(|_| is_gzip)?;
    let len = u16::from_le_bytes([field[2], field[3]]);
    let is_ours = field.starts_with(&GZIP_FIELD) && usize::from(len) == FileId::LEN;
    FileId::from_bytes(&field[4..]).filter(|_| is_ours)
}

fn zstd_origin(bytes: &[u8]) -> Option<FileId> {
    let rest = bytes.strip_prefix(&ZSTD_MAGIC.to_le_bytes())?;
    let rest = rest.get(4..)?.strip_prefix(&ZSTD_TAG)?;
    FileId::from_bytes(rest.get(..FileId::LEN)?)
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::FileId;

    const ID: FileId = FileId {
        device: 0xfd01,
        inode: 1 << 40,
        born_ns: 1_764_562_490_123_456_789,
    };

    #[test]
    #[cfg(all(feature = "gzip", feature = "zstd"))]
    fn a_packed_file_says_what_it_was_packed_from_and_other_programs_still_read_it() {
        use std::io::{Read, Write};

        use super::super::Compression;

        let dir = tempfile::tempdir().unwrap();
        for (form, tool) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
            let from = dir.path().join("plain");
            std::fs::write(&from, b"some lines\n").unwrap();
            let from = std::fs::File::open(&from).unwrap();
            let path = dir.path().join("packed");
            let to = std::fs::File::create(&path).unwrap();
            form.pack(&from, &to, &|| Ok(())).unwrap();
            let packed = std::fs::File::open(&path).unwrap();
            let found = super::origin(&packed).unwrap();
            assert_eq!(found, Some(FileId::of(&from).unwrap()));
            let mut child = std::process::Command::new(tool)
                .arg("-dc")
                .stdin(packed)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut text = String::new();
            child
                .stdout
                .take()
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            assert!(child.wait().unwrap().success());
            assert_eq!(text, "some lines\n");
            let mut other = std::fs::File::create(&path).unwrap();
            other.write_all(b"some lines\n").unwrap();
            let plain = std::fs::File::open(&path).unwrap();
            assert_eq!(super::origin(&plain).unwrap(), None);
        }
    }

    #[test]
    #[cfg(all(feature = "gzip", feature = "zstd"))]
    fn a_note_that_is_cut_short_is_none() {
        use super::{gzip_origin, zstd_origin};

        let mut gzip = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0, 28, 0];
        gzip.extend(super::gzip_field(ID));
        let zstd = super::zstd_frame(ID);
        assert_eq!(gzip_origin(&gzip), Some(ID));
        assert_eq!(zstd_origin(&zstd), Some(ID));
        for len in 0..gzip.len() {
            assert_eq!(gzip_origin(&gzip[..len]), None, "{len}");
        }
        for len in 0..zstd.len() {
            assert_eq!(zstd_origin(&zstd[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_file_is_the_same_on_another_device_only_if_its_birth_is_known() {
        let moved = FileId { device: 7, ..ID };
        assert!(ID.is_same(moved));
        let unborn = |id: FileId| FileId { born_ns: 0, ..id };
        assert!(!unborn(ID).is_same(unborn(moved)));
        assert!(unborn(ID).is_same(ID));
        assert!(!ID.is_same(FileId { born_ns: 5, ..ID }));
        assert!(!ID.is_same(FileId { inode: 5, ..ID }));
    }
}
