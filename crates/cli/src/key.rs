//! The key of a chain, from a file that only its user may read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::report::{self, Failure};

/// How many bytes the key has.
const LEN: usize = 32;

/// Reads the key in the file at `path`: 32 bytes, or 64 hexadecimal digits.
pub fn read(path: &Path) -> Result<[u8; LEN], Failure> {
    let failed = |problem: &dyn std::fmt::Display| {
        Failure::new("--chain", format!("{}: {problem}", report::shown(path)))
    };
    // It may be a link or a FIFO that another user has put there.
    let plainly = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let plainly = i32::try_from(plainly).expect("flags of open(2) are an int");
    let file = File::options().read(true).custom_flags(plainly).open(path);
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(errno) if errno == rustix::io::Errno::LOOP.raw_os_error() => {
            failed(&"it is a symbolic link; name the file itself")
        }
        _ => failed(&format_args!("cannot read the key: {error}")),
    })?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    let owner = metadata.uid();
    if !metadata.is_file() {
        return Err(failed(&"it is not a regular file"));
    }
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(failed(&"it belongs to another user, who knows the key"));
    }
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        let problem = format!("other users may use it (mode {mode:03o}): chmod 600");
        return Err(failed(&problem));
    }
    let mut bytes = Vec::new();
    let read = file.take(2 * LEN as u64 + 2).read_to_end(&mut bytes);
    read.map_err(|error: io::Error| failed(&error))?;
    parse(&bytes).ok_or_else(|| {
        failed(
            &"it holds no key: 32 random bytes, or 64 hexadecimal digits, such as \
              `openssl rand -hex 32` prints",
        )
    })
}

fn parse(bytes: &[u8]) -> Option<[u8; LEN]> {
    if let Ok(key) = bytes.try_into() {
        return Some(key);
    }
    let digits = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if digits.len() != 2 * LEN {
        return None;
    }
    let mut key = [0; LEN];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |of: u8| char::from(of).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_key_is_32_bytes_or_64_digits() {
        let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
        let key: Vec<u8> = (0..32).collect();
        assert_eq!(parse(&key).unwrap()[..], key);
        assert_eq!(parse(digits.as_bytes()).unwrap()[..], key);
        assert_eq!(parse(format!("{digits}\n").as_bytes()).unwrap()[..], key);
        for bytes in [
            "",
            "short",
            &digits[1..],
            &format!("{digits}0"),
            &format!("{digits}\n\n"),
        ] {
            assert_eq!(parse(bytes.as_bytes()), None, "{bytes:?}");
        }
        assert_eq!(parse(digits.replace(['f', 'F'], "g").as_bytes()), None);
    }
}
