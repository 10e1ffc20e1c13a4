//! emit_file 2: a set of files with a writer of our own for the message alone. It has room for
//! 10000 events, and drops all of them when they are one more; it counts how often, and not how
//! many.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use emit::{Emitter, Empty, Event, Template};
use emit_file::FileSet;

use super::text;
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Leaves, Log};

pub struct EmitFile(Arc<FileSet>);

impl Log for EmitFile {
    const NAME: &'static str = "emit_file";
    const LOSSLESS: bool = false;
    const LEAVES: Leaves = Leaves::NamedFiles;
    type Producer = Of<Arc<FileSet>>;

    fn open(path: &Path) -> Outcome<Self> {
        let writer = |buffer: &mut emit_file::FileBuf,
                      event: &Event<'_, &dyn emit::props::ErasedProps>| {
            write!(buffer, "{}", event.msg())
        };
        let files = emit_file::set_with_writer(path, writer, b"\n").roll_by_day();
        Ok(Self(Arc::new(files.spawn())))
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        Ok(Of(self.0.clone()))
    }

    fn finish(self) -> Outcome<u64> {
        assert!(
            self.0.blocking_flush(Duration::from_secs(60)),
            "it writes what it has kept"
        );
        Ok(0)
    }
}

impl Append for Of<Arc<FileSet>> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let template = Template::literal_ref(text(record));
        let path = emit::Path::new_raw("bench");
        self.0.emit(Event::new(path, template, Empty, Empty));
        Ok(())
    }
}
