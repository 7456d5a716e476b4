//! Records for readers: the ringbuf family, and perf_event_output.

use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::map::{MapError, ringbuf};
use tracecore::errno::Errno;

use super::{bytes_at, error, helpers, map_at, result, words_at};
use crate::arch::cpu;
use crate::time::now_ns;

/// Do not wake a reader, or wake one in any case. Readers here look by themselves.
const WAKEUPS: u64 = 3;
/// The place in a perf event array that is this CPU's.
const CURRENT_CPU: u64 = 0xffff_ffff;

helpers! {
    /// Writes a record.
    fn ringbuf_output(map, data, size, flags) {
        if flags & !WAKEUPS != 0 {
            return error(Errno::EINVAL);
        }
        // SAFETY: r1 is a map, r2 memory of the size in r3.
        let (map, data, words) = unsafe { (map_at(map), bytes_at(data, size), words_at(data, size as u32)) };
        match words.map_or_else(|| map.ring_output(data), |words| map.ring_output_words(words)) {
            Err(MapError::NoSpace) => error(Errno::EAGAIN),
            done => result(done),
        }
    }

    /// Room for a record, or 0.
    fn ringbuf_reserve(map, size, flags) {
        if flags != 0 {
            return 0;
        }
        // SAFETY: r1 is a map.
        unsafe { map_at(map) }.ring_reserve(size).unwrap_or(0)
    }

    /// The record is complete.
    fn ringbuf_submit(record) {
        end(record, false)
    }

    /// The record is not wanted.
    fn ringbuf_discard(record) {
        end(record, true)
    }

    /// Sizes and positions.
    fn ringbuf_query(map, what) {
        // SAFETY: r1 is a map.
        unsafe { map_at(map) }.ring_query(what)
    }

    /// Writes a record into this CPU's buffer, if somebody reads it.
    fn perf_event_output(_context, map, flags, data, size) {
        if flags & !CURRENT_CPU != 0 {
            return error(Errno::EINVAL);
        }
        // SAFETY: r2 is a map, r4 memory of the size in r5.
        let (map, data) = unsafe { (map_at(map), bytes_at(data, size)) };
        let here = cpu::id() as u64;
        let index = if flags == CURRENT_CPU { here } else { flags };
        if index >= u64::from(map.def().max_entries) {
            return error(Errno::E2BIG);
        }
        let Some(ring) = map.object(here as usize, &(index as u32).to_le_bytes()) else {
            return error(Errno::ENOENT);
        };
        if index != here {
            return error(Errno::EOPNOTSUPP);
        }
        // SAFETY: handles in such a map are rings, each held until after a quiet point.
        result(unsafe { map_at(ring) }.ring_output_stamped(now_ns(), data))
    }
}

/// Ends a record.
#[inline(always)]
fn end(record: u64, discard: bool) -> u64 {
    // SAFETY: the address came from `ringbuf_reserve` and has not been given back: the verifier has seen to it. Before it
    // lies the header.
    let header = unsafe { &*((record - ringbuf::HEADER_BYTES) as *const AtomicU64) };
    header.store(ringbuf::finished(header.load(Ordering::Relaxed), discard), Ordering::Release);
    0
}
