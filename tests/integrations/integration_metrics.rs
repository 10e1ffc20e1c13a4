//! The published metrics have the values of `stats` and the names in docs/integrations.md.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::sink::{Script, queue_to};
use crate::common::{STALLS_SOON, TRY, small, wait_for};
use alq::Queue;
use alq::metrics::Publisher;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

/// The values that a recorder has received: by name and labels.
struct Published {
    values: BTreeMap<String, f64>,
    described: BTreeSet<String>,
}

fn publish(publisher: &Publisher) -> Published {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        Publisher::describe();
        publisher.publish();
    });
    let mut published = Published {
        values: BTreeMap::new(),
        described: BTreeSet::new(),
    };
    for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
        let name = key.key().name().to_owned();
        let labels = key.key().labels().map(|label| (label.key(), label.value()));
        let (queues, others): (Vec<_>, Vec<_>) = labels.partition(|(key, _)| *key == "queue");
        assert_eq!(queues, [("queue", "test")]);
        let label = others
            .first()
            .map(|(key, value)| format!("{{{key}={value}}}"));
        if unit.is_some() && description.is_some() {
            published.described.insert(name.clone());
        }
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => unreachable!("there are none"),
        };
        let twice = published
            .values
            .insert(name + &label.unwrap_or_default(), value);
        assert_eq!(twice, None);
    }
    published
}

fn assert_values(queue: &Queue, expected: &[(&str, f64)]) {
    let published = publish(&Publisher::new(queue, "test"));
    for (name, value) in expected {
        let got = published.values.get(*name).copied();
        assert_eq!(got, Some(*value), "{name}");
    }
}

#[test]
fn every_metric_is_published_described_and_in_the_documentation() {
    let queue = queue_to(&Script::new(), small());
    let published = publish(&Publisher::new(&queue, "test"));
    let names: BTreeSet<_> = published.values.keys().cloned().collect();
    let bare = names
        .iter()
        .map(|name| name.split('{').next().unwrap().to_owned());
    assert_eq!(bare.collect::<BTreeSet<_>>(), published.described);
    let page = include_str!("../../docs/integrations.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `alq_"));
    let rows = rows.map(|row| format!("alq_{}", row.split('`').next().unwrap()));
    assert_eq!(rows.collect::<BTreeSet<_>>(), names);
}

#[test]
fn the_values_are_those_of_stats() {
    let script = Script::new();
    script.shut_write();
    let queue = queue_to(&script, small().stall_limit(Some(STALLS_SOON)));
    queue.writen(&[b'#'; 4000], TRY).unwrap();
    queue.writen(&[b'#'; 200], TRY).unwrap_err();
    queue.writen(&[b'#'; 300], TRY).unwrap_err();
    queue.writen(&[b'#'; 5000], TRY).unwrap_err();
    let soon = std::time::Duration::from_millis(1);
    let late = queue.writen_timeout(&[b'#'; 400], crate::common::WAIT, soon);
    late.unwrap_err();
    let lane = queue.lane();
    assert_values(
        &queue,
        &[
            ("alq_posted_records_total", 1.0),
            ("alq_posted_bytes_total", 4000.0),
            ("alq_written_bytes_total", 0.0),
            ("alq_dropped_records_total{cause=full}", 2.0),
            ("alq_dropped_bytes_total{cause=full}", 500.0),
            ("alq_dropped_records_total{cause=too_large}", 1.0),
            ("alq_dropped_bytes_total{cause=too_large}", 5000.0),
            ("alq_dropped_records_total{cause=timed_out}", 1.0),
            ("alq_dropped_bytes_total{cause=timed_out}", 400.0),
            ("alq_capacity_bytes", 4096.0),
            ("alq_fill_bytes", 4000.0),
            ("alq_high_water_bytes", 4000.0),
            ("alq_lanes", 1.0),
            ("alq_failed", 0.0),
        ],
    );
    drop(lane);
    let handle = queue.clone();
    let writer =
        crate::common::spawn(move || handle.writen(&[b'w'; 200], crate::common::WAIT).map(drop));
    wait_for("it waits", || queue.stats().waits.writen_room == 2);
    assert_values(&queue, &[("alq_waits_total{for=room}", 2.0)]);
    script.fail_writes(Some(libc::ENOSPC));
    script.open_write();
    let stalled = || {
        let published = publish(&Publisher::new(&queue, "test"));
        published.values["alq_stalled_seconds"] > 0.0
    };
    wait_for("it stalls", stalled);
    script.fail_writes(None);
    writer.join().unwrap();
    queue.flush().unwrap();
    assert_values(
        &queue,
        &[
            ("alq_written_records_total", 2.0),
            ("alq_written_bytes_total", 4200.0),
            ("alq_fill_bytes", 0.0),
            ("alq_stalled_seconds", 0.0),
        ],
    );
    script.fail_writes(Some(libc::EIO));
    queue.writen(b"never\n", TRY).unwrap();
    queue.close(None).unwrap_err();
    queue.writen(b"closed\n", TRY).unwrap_err();
    assert_values(
        &queue,
        &[
            ("alq_dropped_records_total{cause=closed}", 1.0),
            ("alq_failed", 1.0),
            ("alq_dropped_records_total{cause=left}", 1.0),
            ("alq_dropped_bytes_total{cause=left}", 6.0),
            ("alq_dropped_records_total{cause=late}", 0.0),
        ],
    );
}
