//! `metrics`: publishes the counters of a queue to the recorder of the program.
//! docs/integrations.md lists the names.

use ::metrics::{SharedString, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::ends::{Stats, Syncs, Waits};
use crate::face::Queue;

/// Publishes the [`Stats`] of a queue to the recorder that is current when
/// [`publish`](Publisher::publish) is called.
///
/// The program calls `publish` as often as it likes; nothing is published otherwise, and no thread
/// is started. Each call takes some microseconds. Every metric has the label `queue` with the name
/// of the publisher. A publisher keeps the queue open, as a clone does; after a close it publishes
/// the final values.
///
/// ```
/// use alq::{Flags, Options, metrics::Publisher};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().open(dir.path().join("app.log"))?;
/// Publisher::describe();
/// let publisher = Publisher::new(&queue, "app");
///
/// queue.writen(b"one record\n", Flags::WAITOK)?;
/// publisher.publish(); // alq_posted_records_total{queue="app"} is 1
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Publisher {
    queue: Queue,
    name: SharedString,
}

impl Publisher {
    /// Makes a publisher for `queue` with `name` as the value of the label `queue`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let publisher = alq::metrics::Publisher::new(&queue, "app");
    /// publisher.publish();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(queue: &Queue, name: impl Into<SharedString>) -> Self {
        Self {
            queue: queue.clone(),
            name: name.into(),
        }
    }

    /// Describes each metric to the recorder. Call it once, after the recorder was installed.
    ///
    /// ```
    /// alq::metrics::Publisher::describe();
    /// ```
    pub fn describe() {
        for (name, unit, what) in COUNTERS {
            describe_counter!(name, unit, what);
        }
        for (name, unit, what) in GAUGES {
            describe_gauge!(name, unit, what);
        }
    }

    /// Takes a snapshot and publishes all of it. It does not block, unless the recorder does.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let publisher = alq::metrics::Publisher::new(&queue, "app");
    /// // every few seconds
    /// publisher.publish();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish(&self) {
        let stats = self.queue.stats();
        self.publish_dropped(&stats);
        // Lists every field, so that a new field cannot be forgotten here.
        let Stats {
            capacity_bytes,
            fill_bytes,
            high_water_bytes,
            posted_bytes,
            posted_records,
            written_bytes,
            written_records,
            overwritten_bytes,
            overwritten_records,
            lost_bytes: _,
            lost_records: _,
            late_bytes: _,
            late_records: _,
            discarded_bytes: _,
            discarded_records: _,
            too_long_bytes: _,
            too_long_records: _,
            lost_to: _,
            padding_bytes,
            refused_records: _,
            refused_bytes: _,
            refused: _,
            refused_for_lanes,
            refused_for_stall,
            waits,
            held,
            oldest_held_bytes: _,
            abandoned,
            foreign: _,
            lanes,
            drains,
            wakeups,
            stalled,
            repeated_bytes,
            loss_line_bytes,
            syncs,
            last_error,
        } = stats;

        self.count("alq_posted_records_total", posted_records);
        self.count("alq_posted_bytes_total", posted_bytes);
        self.count("alq_written_records_total", written_records);
        self.count("alq_written_bytes_total", written_bytes);
        self.count("alq_overwritten_records_total", overwritten_records);
        self.count("alq_overwritten_bytes_total", overwritten_bytes);
        self.count("alq_refused_for_lanes_total", refused_for_lanes);
        self.count("alq_refused_for_stall_total", refused_for_stall);
        self.publish_waits(waits);
        self.publish_syncs(syncs);
        self.count("alq_abandoned_total", abandoned);
        self.count("alq_drains_total", drains);
        self.count("alq_wakeups_total", wakeups);
        self.count("alq_padding_bytes_total", padding_bytes);
        self.count("alq_repeated_bytes_total", repeated_bytes);
        self.count("alq_loss_line_bytes_total", loss_line_bytes);

        self.set("alq_capacity_bytes", capacity_bytes as f64);
        self.set("alq_fill_bytes", fill_bytes as f64);
        self.set("alq_high_water_bytes", high_water_bytes as f64);
        self.set("alq_held_reservations", held as f64);
        self.set("alq_lanes", lanes as f64);
        let stalled = stalled.map_or(0.0, |stall| stall.age.as_secs_f64());
        self.set("alq_stalled_seconds", stalled);
        self.set("alq_failed", f64::from(u8::from(last_error.is_some())));
    }

    /// Publishes what was refused, and what was lost, by cause.
    fn publish_dropped(&self, stats: &Stats) {
        let discarded = (stats.discarded_records, stats.discarded_bytes);
        let late = (stats.late_records, stats.late_bytes);
        let too_long = (stats.too_long_records, stats.too_long_bytes);
        let left = (
            stats.lost_records - late.0 - discarded.0 - too_long.0,
            stats.lost_bytes - late.1 - discarded.1 - too_long.1,
        );
        let mut refused = stats.refused;
        (refused.discarded.records, refused.discarded.bytes) = discarded;
        let refused = refused.by_cause().into_iter();
        let refused = refused.map(|(cause, of_it)| (cause, (of_it.records, of_it.bytes)));
        let lost = [("left", left), ("late", late), ("too_long", too_long)];
        for (cause, (records, bytes)) in refused.chain(lost) {
            self.count_by("alq_dropped_records_total", "cause", cause, records);
            self.count_by("alq_dropped_bytes_total", "cause", cause, bytes);
        }
    }

    fn publish_waits(&self, waits: Waits) {
        let Waits {
            writen_turn,
            writen_room,
            getn_turn,
            getn_room,
            longest,
        } = waits;
        let turn = writen_turn + getn_turn;
        self.count_by("alq_waits_total", "for", "turn", turn);
        let room = writen_room + getn_room;
        self.count_by("alq_waits_total", "for", "room", room);
        self.set("alq_longest_wait_seconds", longest.as_secs_f64());
    }

    fn publish_syncs(&self, syncs: Syncs) {
        let Syncs {
            done,
            failed,
            longest,
            synced_bytes,
        } = syncs;
        self.count("alq_syncs_total", done);
        self.count("alq_sync_failures_total", failed);
        self.count("alq_synced_bytes_total", synced_bytes);
        self.set("alq_longest_sync_seconds", longest.as_secs_f64());
    }

    fn count(&self, name: &'static str, value: u64) {
        counter!(name, "queue" => self.name.clone()).absolute(value);
    }

    fn count_by(&self, name: &'static str, key: &'static str, label: &'static str, value: u64) {
        counter!(name, "queue" => self.name.clone(), key => label).absolute(value);
    }

    fn set(&self, name: &'static str, value: f64) {
        gauge!(name, "queue" => self.name.clone()).set(value);
    }
}

/// The name, unit and meaning of a metric.
type Described = (&'static str, Unit, &'static str);

const COUNTERS: [Described; 20] = [
    ("alq_posted_records_total", Unit::Count, "Records posted"),
    ("alq_posted_bytes_total", Unit::Bytes, "Bytes posted"),
    (
        "alq_written_records_total",
        Unit::Count,
        "Records that the sink has taken to the last byte",
    ),
    (
        "alq_overwritten_records_total",
        Unit::Count,
        "Records that a recorder has overwritten",
    ),
    (
        "alq_overwritten_bytes_total",
        Unit::Bytes,
        "Bytes of the records that a recorder has overwritten",
    ),
    (
        "alq_written_bytes_total",
        Unit::Bytes,
        "Bytes of records that the sink has taken",
    ),
    (
        "alq_dropped_records_total",
        Unit::Count,
        "Records that were refused, left by a close, too late, or too long, by cause",
    ),
    (
        "alq_dropped_bytes_total",
        Unit::Bytes,
        "Bytes of the records in alq_dropped_records_total",
    ),
    (
        "alq_refused_for_lanes_total",
        Unit::Count,
        "Records refused while open spans of lanes took room",
    ),
    (
        "alq_refused_for_stall_total",
        Unit::Count,
        "Records refused while the sink accepted no data",
    ),
    (
        "alq_waits_total",
        Unit::Count,
        "Appends that had to wait, for room or for their turn",
    ),
    (
        "alq_abandoned_total",
        Unit::Count,
        "Open reservations that a close has stepped over",
    ),
    (
        "alq_drains_total",
        Unit::Count,
        "Writes of which the sink took bytes",
    ),
    ("alq_wakeups_total", Unit::Count, "Wake-ups of the flusher"),
    (
        "alq_padding_bytes_total",
        Unit::Bytes,
        "Bytes that were reserved, not used, and not given back",
    ),
    (
        "alq_repeated_bytes_total",
        Unit::Bytes,
        "Bytes that a reopen left in the old file and wrote again to the new one",
    ),
    ("alq_syncs_total", Unit::Count, "Syncs that have succeeded"),
    (
        "alq_sync_failures_total",
        Unit::Count,
        "Syncs that have failed",
    ),
    (
        "alq_synced_bytes_total",
        Unit::Bytes,
        "Bytes that have become durable, with padding",
    ),
    (
        "alq_loss_line_bytes_total",
        Unit::Bytes,
        "Bytes of the lines that report losses",
    ),
];

const GAUGES: [Described; 9] = [
    (
        "alq_capacity_bytes",
        Unit::Bytes,
        "The capacity of the ring",
    ),
    (
        "alq_fill_bytes",
        Unit::Bytes,
        "The bytes of the ring in use",
    ),
    (
        "alq_high_water_bytes",
        Unit::Bytes,
        "The largest fill that was seen",
    ),
    ("alq_held_reservations", Unit::Count, "Open reservations"),
    ("alq_lanes", Unit::Count, "Lanes that exist"),
    (
        "alq_stalled_seconds",
        Unit::Seconds,
        "For how long the sink has accepted no data; 0 while it does",
    ),
    ("alq_failed", Unit::Count, "1 if the queue has failed"),
    (
        "alq_longest_wait_seconds",
        Unit::Seconds,
        "The longest time that one append has blocked",
    ),
    (
        "alq_longest_sync_seconds",
        Unit::Seconds,
        "The time of the longest sync",
    ),
];
