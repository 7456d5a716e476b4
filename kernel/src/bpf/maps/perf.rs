//! Perf event arrays: a buffer for each CPU, for as long as somebody reads.
//!
//! ```text
//!   perf_event_output(map, CPU n) ──▶ handle in place n ──▶ ring of CPU n ──▶ Events::next
//!                                     0: ENOENT             full: ENOSPC, counted as lost
//! ```
//!
//! Who wants to read opens [`Events`]: that puts buffers into the map, which nobody else may have done, and takes them out again
//! in the end. A record is the time and what the program has given.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::map::{MapDef, MapKind};
use tracecore::errno::Errno;

use super::{Entry, Held, here};
use crate::arch::cpu;

/// Bytes of a CPU's buffer.
const BUFFER_BYTES: u32 = 64 << 10;
/// Bytes of the time before the data.
const TIME_BYTES: usize = 8;

/// The open buffers of a map.
pub(in crate::bpf) struct Events {
    map: Arc<Entry>,
    buffers: Vec<Buffer>,
}

struct Buffer {
    index: u32,
    ring: Arc<Entry>,
    lost: u64,
}

/// What has come.
pub(in crate::bpf) enum Event {
    /// A record: when, on which CPU, and its length.
    Data { time_ns: u64, cpu: u32, len: usize },
    /// So many records of this CPU found no room.
    Lost { count: u64 },
}

impl Events {
    /// Opens a buffer for each of these CPUs, or for all.
    ///
    /// # Errors
    /// EINVAL: not such a map, or no such CPU. EBUSY: somebody reads already. ENOMEM.
    pub(in crate::bpf) fn open(map: Arc<Entry>, only: Option<u32>) -> Result<Self, Errno> {
        if map.def().kind != MapKind::PerfEventArray {
            return Err(Errno::EINVAL);
        }
        let count = (cpu::online() as u32).min(map.def().max_entries);
        let wanted = match only {
            Some(index) if index >= count => return Err(Errno::EINVAL),
            Some(index) => index..index + 1,
            None => 0..count,
        };
        let mut events = Self { map, buffers: Vec::new() };
        for index in wanted {
            let key = index.to_le_bytes();
            if events.map.object_at(&key).is_some() {
                return Err(Errno::EBUSY);
            }
            let ring = super::create(MapDef::new(MapKind::RingBuf, 0, 0, BUFFER_BYTES))?;
            let held: Held = ring.clone();
            events.map.put_object(&key, ring.address(), held, 0)?;
            events.buffers.push(Buffer { index, ring, lost: 0 });
        }
        Ok(events)
    }

    /// The next event; its data are at the beginning of `out`, as much of them as there is room for.
    pub(in crate::bpf) fn next(&mut self, out: &mut [u8]) -> Option<Event> {
        for buffer in &mut self.buffers {
            let mut record = [0; TIME_BYTES + MAX_DATA];
            if let Ok(Some(len)) = here(|_| buffer.ring.ring_take(&mut record)) {
                let (time, data) = record.split_first_chunk::<TIME_BYTES>()?;
                let len = len.saturating_sub(TIME_BYTES).min(out.len()).min(MAX_DATA);
                out.get_mut(..len)?.copy_from_slice(data.get(..len)?);
                return Some(Event::Data { time_ns: u64::from_le_bytes(*time), cpu: buffer.index, len });
            }
            let lost = buffer.ring.ring_dropped();
            if lost > buffer.lost {
                let count = lost - buffer.lost;
                buffer.lost = lost;
                return Some(Event::Lost { count });
            }
        }
        None
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        for buffer in &self.buffers {
            // It is there: we have put it in, and it is ours.
            let _ = self.map.take_object(&buffer.index.to_le_bytes());
        }
    }
}

/// Bytes of data that are shown of a record; what is longer is cut.
pub(in crate::bpf) const MAX_DATA: usize = 1024;
