//! Maps and their elements as text, in bpftool's plain form.
//!
//! ```text
//!   1: hash  name counts  flags 0x0
//!   →key 4B  value 8B  max_entries 16  memlock 544B
//!
//!   key: 01 00 00 00  value: 05 00 00 00 00 00 00 00      in a line, if there are no more than 24 bytes
//! ```

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write;

use ::bpf::map::MapDef;

use crate::bpf::maps::Entry;
use crate::bpf::prog::Prog;

/// Bytes in a line at most; half of them apart from the others.
const LINE: usize = 16;
/// Bytes of key and value together that go into one line.
const ONE_LINE: usize = 24;

/// What a map is.
pub(super) fn map(map: &Entry) -> String {
    let def = map.def();
    let mut text = format!("{}: {}  ", map.id(), def.kind.name());
    if !def.name.is_empty() {
        let _ = write!(text, "name {}  ", def.name);
    }
    let _ = write!(
        text,
        "flags {:#x}\n\tkey {}B  value {}B  max_entries {}  memlock {}B\n",
        def.flags,
        def.key_size,
        def.value_size,
        def.max_entries,
        map.bytes()
    );
    if map.busy() > 0 {
        let _ = writeln!(text, "\tbusy {}", map.busy());
    }
    if map.ring_dropped() > 0 {
        let _ = writeln!(text, "\tdropped {}", map.ring_dropped());
    }
    if map.is_frozen() {
        text.push_str("\tfrozen\n");
    }
    text
}

/// Bytes, in lines of [`LINE`].
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (n, byte) in bytes.iter().enumerate() {
        let between = match n {
            0 => "",
            n if n.is_multiple_of(LINE) => "\n",
            n if n.is_multiple_of(LINE / 2) => "  ",
            _ => " ",
        };
        let _ = write!(text, "{between}{byte:02x}");
    }
    text
}

/// An element: its key, and its value or the values of all CPUs.
pub(super) fn element(def: &MapDef, key: &[u8], value: &[u8]) -> String {
    let size = def.value_size as usize;
    if def.kind.is_percpu() {
        let mut text = format!("key:\n{}\n", hex(key));
        for (cpu, value) in value.chunks(def.value_stride().max(1) as usize).enumerate() {
            let between = if size > LINE { '\n' } else { ' ' };
            let _ =
                writeln!(text, "value (CPU {cpu:02}):{between}{}", hex(value.get(..size).unwrap_or(value)));
        }
        return text;
    }
    let long = key.len() > LINE || size > LINE;
    let between = if long { '\n' } else { ' ' };
    let mut text = String::new();
    if !key.is_empty() {
        let after = if key.len() + size <= ONE_LINE && !long { "  " } else { "\n" };
        let _ = write!(text, "key:{between}{}{after}", hex(key));
    }
    let _ = writeln!(text, "value:{between}{}", hex(value));
    text
}

/// The id of the map that a map of maps holds for a key.
pub(super) fn inner_id(map: &Entry, key: &[u8]) -> Option<u32> {
    let held: Arc<Entry> = map.object_at(key)?.downcast().ok()?;
    Some(held.id())
}

/// The id of the program that a program array holds for a key.
pub(super) fn prog_id(map: &Entry, key: &[u8]) -> Option<u32> {
    let held: Arc<Prog> = map.object_at(key)?.downcast().ok()?;
    Some(held.id())
}

/// An element of a map of maps.
pub(super) fn inner(key: &[u8], id: u32) -> String {
    format!("key: {}  inner_map_id: {id} \n", hex(key))
}
