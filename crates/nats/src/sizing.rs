//! How large a ring must be.

/// How long a stream may be without a leader, in seconds: servers notice after 4 to 9 seconds that
/// it is dead, and elect another one.
const WITHOUT_LEADER_S: u64 = 12;

/// The limits of [`Options::capacity`](alq::Options::capacity) for such a ring.
const CAPACITY: std::ops::RangeInclusive<u64> = (1 << 20)..=(1 << 31);

/// Returns the capacity of a ring, in bytes, that outlasts the change of a stream's leader at this
/// rate: 12 seconds, rounded up to a power of two, from 1 MiB to 2 GiB.
///
/// A longer outage needs a larger ring. When the ring is full, appends wait or are refused, as the
/// [flags](alq::Flags) say.
///
/// ```
/// assert_eq!(alq_nats::ring_capacity(3_000_000), 64 << 20); // 36 MB
/// assert_eq!(alq_nats::ring_capacity(0), 1 << 20);
/// ```
pub fn ring_capacity(bytes_per_second: u64) -> usize {
    let needed = bytes_per_second
        .saturating_mul(WITHOUT_LEADER_S)
        .clamp(*CAPACITY.start(), *CAPACITY.end());
    needed.next_power_of_two() as usize
}
