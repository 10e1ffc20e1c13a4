//! Many queues in one process work independently: each has one thread, and a blocked queue delays
//! no other.

use crate::common::child::in_child;
use crate::common::task::{Task, assert_quiet};
use crate::common::{
    DEADLINE, Log, Numbers, Record, TRY, WAIT, Watched, assert_complete, fill_up, parse, pipe,
    read_all, small, spawn, wait_for,
};
use alq::{Error, Queue};

fn flushers() -> Vec<Task> {
    Task::named("alq-flusher")
}

#[test]
fn a_hundred_queues_at_once_have_each_its_own_records() {
    const COUNT: u32 = 40;
    let logs: Vec<_> = (0..100).map(|_| Log::new()).collect();
    let queues: Vec<_> = logs.iter().map(|log| log.open(small())).collect();
    let writer = |writer: usize| {
        let queues = queues.clone();
        spawn(move || {
            let mut numbers = Numbers::new(writer);
            for seq in 0..COUNT {
                // Each thread visits the queues in a different order.
                for i in 0..queues.len() {
                    let queue = &queues[(i * [1, 3, 7, 9][writer] + writer * 25) % queues.len()];
                    let len = Record::MIN_LEN + numbers.below(400);
                    let text = Record { writer, seq, len }.text();
                    queue.writen(text.as_bytes(), WAIT).unwrap();
                }
            }
        })
    };
    let writers: Vec<_> = (0..4).map(writer).collect();
    writers.into_iter().for_each(Watched::join);
    for (i, (queue, log)) in queues.into_iter().zip(&logs).enumerate() {
        match i % 3 {
            0 => queue.close(None).unwrap(),
            1 => queue.flush().unwrap(),
            _ => drop(queue),
        }
        assert_complete(&parse(&log.bytes()), &[COUNT; 4]);
    }
}

#[test]
fn a_queue_whose_descriptor_takes_nothing_holds_up_no_other() {
    let (reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let stuck = small().open_fd(&writer).unwrap();
    drop(writer);
    stuck.writen(&[b's'; 4096], TRY).unwrap();
    let sleeper = {
        let stuck = stuck.clone();
        spawn(move || stuck.writen(b"sleeper\n", WAIT))
    };
    wait_for("it sleeps", || stuck.stats().waits.writen_room == 1);
    let flusher = {
        let stuck = stuck.clone();
        spawn(move || stuck.flush())
    };
    let logs: Vec<_> = (0..10).map(|_| Log::new()).collect();
    for round in 0..3 {
        let queues: Vec<_> = logs.iter().map(|log| log.open(small())).collect();
        for queue in &queues {
            for seq in 0..100 {
                let len = 100;
                let text = Record {
                    writer: round,
                    seq,
                    len,
                }
                .text();
                queue.writen(text.as_bytes(), WAIT).unwrap();
            }
            queue.flush().unwrap();
        }
        for queue in &queues {
            queue.close(None).unwrap();
        }
    }
    for log in &logs {
        assert_complete(&parse(&log.bytes()), &[100; 3]);
    }
    assert!(sleeper.is_running() && flusher.is_running());
    assert_eq!(stuck.stats().written_bytes, 0);

    let bytes = read_all(reader);
    sleeper.join().unwrap();
    flusher.join().unwrap();
    drop(stuck);
    assert_eq!(bytes.join().len(), filler + 4096 + 8);
}

#[test]
fn every_queue_has_one_thread_for_as_long_as_it_is_open() {
    in_child(
        "every_queue_has_one_thread_for_as_long_as_it_is_open",
        || {
            let logs: Vec<_> = (0..30).map(|_| Log::new()).collect();
            let mut queues: Vec<_> = logs.iter().map(|log| log.open(small())).collect();
            let clones: Vec<_> = queues.clone();
            wait_for("thirty flushers", || flushers().len() == 30);
            drop(clones);
            for queue in &queues {
                queue.flush().unwrap();
            }
            assert_eq!(flushers().len(), 30);
            queues.truncate(20);
            wait_for("ten have ended", || flushers().len() == 20);
            queues[..10]
                .iter()
                .for_each(|queue| queue.close(None).unwrap());
            wait_for("ten more, with handles left", || flushers().len() == 10);
            assert_eq!(queues[0].writen(b"x", TRY), Err(Error::Closed));
            drop(queues);
            wait_for("none is left", || flushers().is_empty());
        },
    );
}

#[test]
fn idle_queues_do_nothing_also_beside_busy_ones_that_have_stopped() {
    in_child(
        "idle_queues_do_nothing_also_beside_busy_ones_that_have_stopped",
        || {
            let logs: Vec<_> = (0..30).map(|_| Log::new()).collect();
            let queues: Vec<_> = logs.iter().map(|log| log.open(small())).collect();
            wait_for("thirty flushers", || flushers().len() == 30);
            let all = flushers();
            assert_quiet(&all); // those that have never had anything to do

            // Every second queue gets some work; the others stay asleep.
            let before: Vec<_> = queues.iter().map(|queue| queue.stats().wakeups).collect();
            let busy = |queue: &&Queue| queues.iter().position(|q| std::ptr::eq(q, *queue));
            for queue in queues.iter().filter(|queue| busy(queue).unwrap() % 2 == 0) {
                (0..100).for_each(|_| _ = queue.writen(&[b'w'; 500], WAIT).unwrap());
                queue.flush_timeout(DEADLINE).unwrap();
            }
            for (i, queue) in queues.iter().enumerate().filter(|(i, _)| i % 2 == 1) {
                assert_eq!(queue.stats().wakeups, before[i], "queue {i} was not asked");
            }
            assert_quiet(&all); // and now all of them again
            assert_eq!(flushers().len(), 30);
            assert!(
                logs.iter()
                    .step_by(2)
                    .all(|log| log.bytes() == vec![b'w'; 50_000])
            );
        },
    );
}
