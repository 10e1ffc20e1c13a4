//! What the frames hold that are no records.

/// The payload of a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// How many records were refused or lost here; 0 if only unused room lies here.
    pub records: u64,
    /// How many bytes these records had.
    pub bytes: u64,
}

impl Gap {
    pub const LEN: usize = 16;

    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.records.to_le_bytes());
        bytes[8..].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    /// Reads the payload of a gap; a later release may have added to it.
    pub fn from_bytes(payload: &[u8]) -> Option<Self> {
        let bytes = payload.first_chunk::<{ Self::LEN }>()?;
        Some(Self {
            records: number(bytes, 0),
            bytes: number(bytes, 8),
        })
    }
}

/// The payload of a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// How many bytes were removed, or set aside.
    pub bytes: u64,
}

impl Cut {
    pub const LEN: usize = 8;

    pub fn to_bytes(self) -> [u8; Self::LEN] {
        self.bytes.to_le_bytes()
    }

    /// Reads the payload of a cut; a later release may have added to it.
    pub fn from_bytes(payload: &[u8]) -> Option<Self> {
        let bytes = payload.first_chunk::<{ Self::LEN }>()?;
        Some(Self {
            bytes: number(bytes, 0),
        })
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes[at..].first_chunk().expect("the caller has the bytes");
    u64::from_le_bytes(*bytes)
}
