//! What is durable, without a thread or a sink.

use super::Durability;
use crate::words::{Error, SyncOp};

const DATA: SyncOp = SyncOp::Data;
const FULL: SyncOp = SyncOp::Full;

#[test]
fn a_doubt_stays_when_later_bytes_become_durable() {
    let durability = Durability::new(None);
    durability.raise(FULL, 10);
    durability.raise(DATA, 20);
    durability.doubt(&mut durability.state.lock(), 30, Error::NotSyncable);
    assert_eq!(durability.verdict(31, DATA), None);
    durability.raise(FULL, 40);
    let never = Some(Err(Error::NotSyncable));
    let by = |op| [10, 11, 20, 21, 30, 31, 40].map(|target| durability.verdict(target, op));
    let (done, none) = (Some(Ok(())), never);
    let expected = [&done, &done, &done, &none, &none, &done, &done].map(Clone::clone);
    assert_eq!(by(DATA), expected);
    let expected = [&done, &none, &none, &none, &none, &done, &done].map(Clone::clone);
    assert_eq!(by(FULL), expected);
    assert_eq!(durability.verdict(41, DATA), None);
}
