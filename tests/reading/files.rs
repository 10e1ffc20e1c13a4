//! `alq::read`: all files of a log as one stream, places in it, and hostile files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use alq::read::{Cursor, End, Item, Notice, ReadOptions, Reader};
use alq::rotate::{Compression, Rotation};
use alq::{Flags, Framing, Options};
use tempfile::TempDir;

const FORMS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

struct Log {
    _dir: TempDir,
    path: PathBuf,
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("app.log");
        Self { _dir: dir, path }
    }

    /// The name of the rotated file number `n`, with `suffix`.
    fn rotated(&self, n: u32, suffix: &str) -> PathBuf {
        let name = format!("app.log.20261201T0600{n:02}Z-000000{suffix}");
        self.path.with_file_name(name)
    }

    /// Writes `count` numbered lines through a queue, over many files.
    fn fill(&self, from: usize, count: usize, form: Compression) {
        let log = Rotation::new().size_bytes(1000).compress(form);
        let log = log.open(&self.path).unwrap();
        let queue = Options::new().open_sink(log.clone()).unwrap();
        for n in from..from + count {
            let line = line(n) + "\n";
            queue.writen(line.as_bytes(), Flags::WAITOK).unwrap();
        }
        queue.close(None).unwrap();
        log.wait_background(None).unwrap();
    }

    fn files(&self) -> usize {
        fs::read_dir(self.path.parent().unwrap()).unwrap().count() - 1 // without the lock
    }

    fn rotated_files(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.path.parent().unwrap()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
        names.retain(|name| name.to_str().unwrap().contains(".log.2"));
        names.sort();
        names
    }
}

fn line(n: usize) -> String {
    format!("line {n} {}", "x".repeat(n % 37))
}

/// Everything that the reader returns from here on: lines as text, notices by their message.
fn rest(reader: &mut Reader) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        all.push(text(&item));
    }
    all
}

fn text(item: &Item<'_>) -> String {
    match item {
        Item::Record(record) => String::from_utf8_lossy(record.bytes()).into_owned(),
        Item::Notice(notice, _) => format!("({notice})"),
        _ => unreachable!(),
    }
}

fn all(path: &Path) -> Vec<String> {
    rest(&mut Reader::open(path).unwrap())
}

fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(line).collect()
}

#[test]
fn all_files_are_one_stream_whether_they_are_packed_or_not() {
    for form in FORMS {
        let log = Log::new();
        log.fill(0, 500, form);
        assert!(log.files() > 10, "{}", log.files());
        assert_eq!(all(&log.path), lines(0..500), "{form:?}");
    }
}

#[test]
fn a_record_knows_its_file_and_offset() {
    let log = Log::new();
    fs::write(log.rotated(1, ""), "one\ntwo\n").unwrap();
    fs::write(&log.path, "three\n").unwrap();
    let mut reader = Reader::open(&log.path).unwrap();
    let mut places = Vec::new();
    while let Some(Item::Record(record)) = reader.next().unwrap() {
        assert_eq!((record.position(), record.stamp()), (None, None));
        places.push((
            record.file().to_owned(),
            record.offset(),
            record.raw().len(),
        ));
    }
    let rotated = log.rotated(1, "");
    let expected = [
        (rotated.clone(), 0, 4),
        (rotated, 4, 4),
        (log.path.clone(), 0, 6),
    ];
    assert_eq!(places, expected);
}

#[test]
fn a_plain_file_is_read_and_not_the_packed_one_beside_it() {
    let log = Log::new();
    fs::write(log.rotated(1, ""), "one\n").unwrap();
    fs::write(log.rotated(1, ".gz"), "half of a packed fi").unwrap();
    fs::write(log.rotated(2, ".packing"), "nor this\n").unwrap();
    fs::write(log.rotated(3, ".fresh"), "two\n").unwrap();
    fs::write(log.rotated(4, ".fresh"), "").unwrap();
    fs::write(log.rotated(5, ".bak"), "nor this\n").unwrap();
    assert_eq!(all(&log.path), ["one", "two"], "and there is no log itself");
    fs::write(&log.path, "three\n").unwrap();
    assert_eq!(all(&log.path), ["one", "two", "three"]);
    fs::hard_link(&log.path, log.rotated(6, "")).unwrap();
    assert_eq!(
        all(&log.path),
        ["one", "two", "three"],
        "a second name of the log"
    );
}

#[test]
fn a_line_without_its_end_is_torn_in_a_rotated_file_and_unfinished_in_the_log() {
    let log = Log::new();
    fs::write(log.rotated(1, ""), "one\ntw").unwrap();
    fs::write(&log.path, "three\nfo").unwrap();
    let mut reader = Reader::open(&log.path).unwrap();
    let mut ends = Vec::new();
    while let Some(Item::Record(record)) = reader.next().unwrap() {
        ends.push((record.bytes().to_vec(), record.end()));
    }
    let whole = |bytes: &str| (bytes.as_bytes().to_vec(), End::Whole);
    assert_eq!(
        ends,
        [whole("one"), (b"tw".to_vec(), End::Torn), whole("three")]
    );
    let mut file = File::options().append(true).open(&log.path).unwrap();
    file.write_all(b"ur\nfi").unwrap();
    assert_eq!(rest(&mut reader), ["four"]);
    let Some(Item::Record(record)) = reader.finish() else {
        panic!("nothing is left");
    };
    assert_eq!((record.bytes(), record.end()), (&b"fi"[..], End::Torn));
    assert!(reader.finish().is_none());
}

#[test]
fn a_cursor_finds_its_place_after_rotation_and_packing() {
    for form in FORMS {
        let log = Log::new();
        log.fill(0, 40, Compression::None);
        for taken in (0..40).step_by(3) {
            let log = Log::new();
            log.fill(0, 40, Compression::None);
            let mut reader = Reader::open(&log.path).unwrap();
            for n in 0..taken {
                assert_eq!(text(&reader.next().unwrap().unwrap()), line(n));
            }
            let saved = reader.cursor().to_string();
            log.fill(40, 60, form);
            let mut reader = Reader::open(&log.path).unwrap();
            reader.resume(&saved.parse().unwrap()).unwrap();
            assert_eq!(
                rest(&mut reader),
                lines(taken..100),
                "{form:?}, {taken}: {saved}"
            );
        }
    }
}

/// A cursor in the middle of the oldest file, 5 lines in.
fn cursor_after_five(log: &Log) -> Cursor {
    let mut reader = Reader::open(&log.path).unwrap();
    for _ in 0..5 {
        reader.next().unwrap();
    }
    reader.cursor()
}

#[test]
fn a_cursor_finds_its_place_in_a_file_that_another_program_packed() {
    let log = Log::new();
    log.fill(0, 100, Compression::None);
    let cursor = cursor_after_five(&log);
    for (n, (tool, args)) in [("gzip", &["-q"][..]), ("zstd", &["-q", "--rm"])]
        .iter()
        .enumerate()
    {
        let file = &log.rotated_files()[n];
        let packed = Command::new(tool).args(*args).arg(file).status();
        if !packed.is_ok_and(|status| status.success()) {
            println!("skipped: {tool} is not installed");
        }
    }
    let mut reader = Reader::open(&log.path).unwrap();
    reader.resume(&cursor).unwrap();
    assert_eq!(rest(&mut reader), lines(5..100));
}

#[test]
fn a_cursor_says_so_if_its_file_is_gone_and_goes_on_in_the_next_one() {
    let log = Log::new();
    log.fill(0, 100, Compression::None);
    let cursor = cursor_after_five(&log);
    let first = &log.rotated_files()[0];
    let count = fs::read_to_string(first).unwrap().lines().count();
    fs::remove_file(first).unwrap();
    let mut reader = Reader::open(&log.path).unwrap();
    reader.resume(&cursor).unwrap();
    let Some(Item::Notice(Notice::Gone, place)) = reader.next().unwrap() else {
        panic!("no notice");
    };
    assert_eq!(place.file(), log.rotated_files()[0]);
    assert_eq!(rest(&mut reader), lines(count..100));
    for file in log.rotated_files() {
        fs::remove_file(file).unwrap();
    }
    fs::remove_file(&log.path).unwrap();
    fs::write(&log.path, "new\n").unwrap();
    let mut reader = Reader::open(&log.path).unwrap();
    reader.resume(&cursor).unwrap();
    assert!(matches!(
        reader.next().unwrap(),
        Some(Item::Notice(Notice::Gone, _))
    ));
    assert_eq!(rest(&mut reader), ["new"]);
}

#[test]
fn a_cursor_sees_that_the_log_was_truncated_even_if_it_is_as_long_again() {
    for new in ["n\n", "another line, and longer\n"] {
        let log = Log::new();
        fs::write(&log.path, "one\ntwo\n").unwrap();
        let mut reader = Reader::open(&log.path).unwrap();
        assert_eq!(rest(&mut reader), ["one", "two"]);
        let cursor = reader.cursor();
        fs::write(&log.path, new).unwrap(); // the same inode
        let mut again = Reader::open(&log.path).unwrap();
        again.resume(&cursor).unwrap();
        let truncated = "(the file was truncated: reading continues at its start)";
        assert_eq!(rest(&mut again), [truncated, new.trim_end()]);
        assert_eq!(
            rest(&mut reader),
            [truncated, new.trim_end()],
            "the reader itself sees it"
        );
    }
}

#[test]
fn the_last_records_are_found_over_all_files() {
    for form in FORMS {
        let log = Log::new();
        log.fill(0, 150, form);
        for n in [0, 1, 2, 7, 30, 90, 149, 150, 1000] {
            let mut reader = Reader::open(&log.path).unwrap();
            reader.seek_last(n).unwrap();
            let first = 150 - usize::try_from(n).unwrap().min(150);
            assert_eq!(rest(&mut reader), lines(first..150), "{form:?}, {n}");
        }
    }
    let log = Log::new();
    fs::write(&log.path, "one\n\ntwo\nthr").unwrap();
    for (n, expected) in [(0, &[][..]), (1, &[]), (2, &["two"]), (3, &["", "two"])] {
        let mut reader = Reader::open(&log.path).unwrap();
        reader.seek_last(n).unwrap();
        assert_eq!(rest(&mut reader), *expected, "{n}");
        assert_eq!(text(&reader.finish().unwrap()), "thr");
    }
}

#[test]
fn the_first_record_of_a_time_is_found_by_the_stamps_of_lines() {
    let log = Log::new();
    // 2026-12-01T06:00:00Z is 1796104800.
    fs::write(log.rotated(10, ""), "2026-12-01T06:00:01Z a\n").unwrap();
    fs::write(log.rotated(20, ""), "2026-12-01T06:00:11Z b\n at b\n").unwrap();
    fs::write(&log.path, "2026-12-01T07:00:21+01:00 c\n at c\nno stamp\n").unwrap();
    for (second, first) in [(0, "2026-12-01T06:00:01Z a"), (5, "2026-12-01T06:00:11Z b")] {
        let mut reader = Reader::open(&log.path).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(1_796_104_800 + second);
        assert!(reader.seek_time(time).unwrap());
        assert_eq!(rest(&mut reader)[0], first, "{second}");
    }
    let mut reader = Reader::open(&log.path).unwrap();
    let later = UNIX_EPOCH + Duration::from_secs(1_796_104_821);
    assert!(reader.seek_time(later).unwrap());
    assert_eq!(
        rest(&mut reader),
        ["2026-12-01T07:00:21+01:00 c", " at c", "no stamp"]
    );
    let mut reader = Reader::open(&log.path).unwrap();
    assert!(!reader.seek_time(later + Duration::from_secs(1)).unwrap());
    assert!(rest(&mut reader).is_empty());
}

#[test]
fn positions_need_frames() {
    let log = Log::new();
    fs::write(&log.path, "one\n").unwrap();
    let error = Reader::open(&log.path)
        .unwrap()
        .seek_position(0)
        .unwrap_err();
    assert_eq!(error.io_error().kind(), io::ErrorKind::Unsupported);
    assert!(
        error
            .to_string()
            .contains("app.log: cannot find a position"),
        "{error}"
    );
}

#[test]
fn fixed_records_and_lengths_are_read_if_the_caller_names_them() {
    let log = Log::new();
    fs::write(&log.path, b"aaabbbcc").unwrap();
    let options = ReadOptions::new().framing(Framing::Fixed(3));
    let mut reader = options.open(&log.path).unwrap();
    assert_eq!(rest(&mut reader), ["aaa", "bbb"]);
    assert_eq!(
        text(&reader.finish().unwrap()),
        "(the file ends inside a record, after 2 bytes)"
    );
    fs::write(&log.path, b"\x03\0\0\0abc\0\0\0\0\xff\xff\xff\xffrest").unwrap();
    let options = ReadOptions::new().framing(Framing::Lengths);
    let found = rest(&mut options.open(&log.path).unwrap());
    assert_eq!(&found[..2], ["abc", ""]);
    assert!(found[2].contains("longer than the limit"), "{found:?}");
    assert_eq!(found.len(), 3);
}

#[test]
fn what_is_no_regular_file_is_refused_and_blocks_nothing() {
    let log = Log::new();
    let fifo = |path: &Path| {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    };
    fifo(&log.path);
    fifo(&log.rotated(1, ""));
    std::os::unix::fs::symlink("/etc/passwd", log.rotated(2, "")).unwrap();
    for path in [&*log.path, Path::new("/dev/null"), Path::new("/proc")] {
        let error = Reader::open(path).unwrap_err().to_string();
        let expected = format!(
            "{}: cannot read the log: it is not a regular file",
            path.display()
        );
        assert_eq!(error, expected);
    }
    fs::remove_file(&log.path).unwrap();
    fs::write(&log.path, "one\n").unwrap();
    assert_eq!(all(&log.path), ["one"]);
    let error = Reader::open(log.path.join("x")).unwrap_err();
    assert_eq!(error.io_error().kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn options_out_of_range_are_refused() {
    let log = Log::new();
    fs::write(&log.path, "one\n").unwrap();
    for options in [
        ReadOptions::new().record_max(0),
        ReadOptions::new().record_max((1 << 31) + 1),
        ReadOptions::new().framing(Framing::Fixed(0)),
    ] {
        let error = options.open(&log.path).unwrap_err();
        assert_eq!(
            error.io_error().kind(),
            io::ErrorKind::InvalidInput,
            "{error}"
        );
    }
}

#[test]
fn a_damaged_packed_file_is_named_and_the_next_one_is_read() {
    for (form, suffix) in [(Compression::Gzip, ".gz"), (Compression::Zstd, ".zst")] {
        let log = Log::new();
        log.fill(0, 200, form);
        let second = &log.rotated_files()[1];
        assert!(second.to_str().unwrap().ends_with(suffix));
        let good = all(&log.path);
        let mut bytes = fs::read(second).unwrap();
        let cut = bytes.len() / 2;
        bytes.truncate(cut);
        fs::write(second, &bytes).unwrap();
        let found = all(&log.path);
        let (notices, found): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|text| text.starts_with('('));
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains("is unreadable"), "{notices:?}");
        let kept: Vec<_> = good
            .iter()
            .filter(|line| found.contains(line))
            .cloned()
            .collect();
        assert_eq!(found, kept, "nothing is invented, repeated or out of order");
        assert!(found.len() > 150 && found.last() == good.last());
    }
}

/// The most memory that this process has used, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn an_endless_line_in_a_tiny_packed_file_takes_bounded_memory() {
    let log = Log::new();
    let packed = File::create(log.rotated(1, ".gz")).unwrap();
    let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    let part = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        packer.write_all(&part).unwrap();
    }
    packer.finish().unwrap();
    fs::write(&log.path, "end\n").unwrap();
    let before = peak_kib();
    let mut reader = ReadOptions::new()
        .record_max(1 << 20)
        .open(&log.path)
        .unwrap();
    let (mut bytes, mut parts) = (0, 0);
    while let Some(Item::Record(record)) = reader.next().unwrap() {
        bytes += record.raw().len();
        parts += usize::from(record.end() == End::Continues);
    }
    assert_eq!((bytes, parts), ((100 << 20) + 4, 99));
    // Other tests of this program run at the same time.
    assert!(
        peak_kib() - before < 50 << 10,
        "{} KiB more",
        peak_kib() - before
    );
}
