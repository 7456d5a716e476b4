//! Maps: lookup, update, delete, push, pop, peek, for_each_map_elem.
//!
//! Who changes a map has interrupts masked: a program in an interrupt could want the same bucket. Looking needs nothing.

use ::bpf::map::{MapError, MapKind};
use tracecore::errno::Errno;

use super::{bytes_at, callback_at, error, helpers, map_at, result, room_at, timer, words_at};
use crate::arch::cpu;
use crate::bpf::maps::{here, timers_at};

/// The most elements that one walk visits.
const WALK_MAX: u64 = 1 << 32;

helpers! {
    /// The value of a key, or 0.
    fn map_lookup_elem(map, key) {
        // SAFETY: r1 is a map.
        let map = unsafe { map_at(map) };
        let size = map.def().key_size;
        // SAFETY: r2 is memory of its keys' size.
        match unsafe { word_at(key, size) } {
            Some(word) => map.lookup_word(cpu::id, word).unwrap_or(0),
            // SAFETY: as above.
            None => map.lookup(cpu::id(), unsafe { bytes_at(key, u64::from(size)) }).unwrap_or(0),
        }
    }

    /// The value of a key on another CPU, or 0.
    fn map_lookup_percpu_elem(map, key, on) {
        // SAFETY: r1 is a map, r2 memory of its keys' size.
        let (map, key) = unsafe {
            let map = map_at(map);
            (map, bytes_at(key, u64::from(map.def().key_size)))
        };
        if !map.def().kind.is_percpu() {
            return 0;
        }
        map.lookup(on as u32 as usize, key).unwrap_or(0)
    }

    /// Gives a key a value.
    fn map_update_elem(map, key, value, flags) {
        // SAFETY: r1 is a map, r2 and r3 memory of its keys' and values' size.
        let (map, words) = unsafe {
            let map = map_at(map);
            (map, word_at(key, map.def().key_size).zip(words_at(value, map.def().value_size)))
        };
        if let Some((key, value)) = words
            && let Some(done) = here(|cpu| map.update_words(cpu, key, value, flags))
        {
            return result(done);
        }
        // SAFETY: as above.
        let (key, value) = unsafe {
            let def = map.def();
            (bytes_at(key, u64::from(def.key_size)), bytes_at(value, u64::from(def.value_size)))
        };
        result(here(|cpu| map.update(cpu, key, value, flags)))
    }

    /// Removes a key.
    fn map_delete_elem(map, key) {
        // SAFETY: r1 is a map, r2 memory of its keys' size.
        let (map, key, timers) = unsafe {
            let timers = timers_at(map);
            let map = map_at(map);
            (map, bytes_at(key, u64::from(map.def().key_size)), timers)
        };
        match here(|cpu| {
            if let Some(timers) = timers
                && let Some(value) = map.lookup(cpu, key)
            {
                timer::forget(map, timers, value);
            }
            map.delete(cpu, key)
        }) {
            Ok(_) => 0,
            Err(error) => error.as_result(),
        }
    }

    /// Adds a value to a queue, a stack or a bloom filter.
    fn map_push_elem(map, value, flags) {
        // SAFETY: r1 is a map, r2 memory of its values' size.
        let (map, value) = unsafe {
            let map = map_at(map);
            (map, bytes_at(value, u64::from(map.def().value_size)))
        };
        result(here(|cpu| map.push(cpu, value, flags)))
    }

    /// Takes the next value of a queue or stack out.
    fn map_pop_elem(map, value) {
        // SAFETY: r1 is a map, r2 memory of its values' size.
        let (map, value) = unsafe {
            let map = map_at(map);
            (map, room_at(value, u64::from(map.def().value_size)))
        };
        result(written(value, |value| here(|cpu| map.pop(cpu, value))))
    }

    /// Reads the next value of a queue or stack; asks a bloom filter.
    fn map_peek_elem(map, value) {
        // SAFETY: r1 is a map, r2 memory of its values' size, which a bloom filter reads and others write.
        let (map, value) = unsafe {
            let map = map_at(map);
            (map, room_at(value, u64::from(map.def().value_size)))
        };
        if map.def().kind == MapKind::BloomFilter {
            return result(map.peek(cpu::id(), value));
        }
        result(written(value, |value| here(|cpu| map.peek(cpu, value))))
    }

    /// Calls `callback(map, key, value, data)` for each element until it gives 1: how many were visited.
    fn for_each_map_elem(map, callback, data, flags) {
        if flags != 0 {
            return error(Errno::EINVAL);
        }
        let address = map;
        // SAFETY: r1 is a map, r2 a function of the program.
        let (map, callback) = unsafe { (map_at(map), callback_at(callback)) };
        let mut at = 0;
        let mut visited = 0;
        while visited < WALK_MAX
            && let Some(element) = map.element(at, cpu::id())
        {
            let index = at as u64;
            let key = element.key.unwrap_or(core::ptr::from_ref(&index).addr() as u64);
            at = element.next;
            visited += 1;
            if callback(address, key, element.value, data, 0) != 0 {
                break;
            }
        }
        visited
    }
}

/// A key of one word, if it lies as one: this machine does not load across words.
///
/// # Safety
/// There are so many bytes.
#[inline(always)]
unsafe fn word_at(addr: u64, size: u32) -> Option<u64> {
    // SAFETY: the caller's promise, and it is aligned.
    unsafe {
        if size == 8 && addr.is_multiple_of(8) {
            return Some(*(addr as *const u64));
        }
        (size == 4 && addr.is_multiple_of(4)).then(|| u64::from(*(addr as *const u32)))
    }
}

/// Sees that all is written whatever happens.
#[inline(always)]
fn written(
    room: &mut [u8],
    operation: impl FnOnce(&mut [u8]) -> Result<(), MapError>,
) -> Result<(), MapError> {
    let done = operation(room);
    if done.is_err() {
        room.fill(0);
    }
    done
}
