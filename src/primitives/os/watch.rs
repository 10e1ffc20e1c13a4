//! What the watches of all platforms share.

/// What is watched of one file, folder or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its bytes, its names and its end.
    File,
    /// Its names and its end.
    Folder,
    /// As a folder; and new names in it.
    NewNames,
    /// The link itself, not the file that it leads to: its end, and its other names.
    Link,
}

/// What came since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    pub any: bool,
    /// Something else than new bytes: the watches may have to change.
    pub is_structural: bool,
}
