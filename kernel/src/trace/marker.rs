//! `trace_marker` and `trace_marker_raw`: records that users write.

use alloc::sync::Arc;

use tracecore::errno::Errno;
use tracecore::event::{HEADER_LEN, print_class, raw_data_class};
use tracecore::ring::{MAX_RECORD_BYTES, Refused};

use super::options::Opt;
use super::{buffer, comms, events};
use crate::fs::textfs::Text;
use crate::fs::tracefs;
use crate::sync::PreemptGuard;

/// Where the text of a `print` record begins: behind the header and the writer's address.
const TEXT_AT: usize = HEADER_LEN + 8;
/// The longest text of one record, with the line end and the NUL that it may lack; a longer write is taken in parts.
const MAX_TEXT: usize = MAX_RECORD_BYTES - TEXT_AT - 2;
/// The shortest raw record: its number.
const MIN_RAW: usize = 4;

pub(super) fn init() {
    let (print, raw) = (Arc::new(print_class()), Arc::new(raw_data_class()));
    let (print_id, raw_id) = (print.id, raw.id);
    events::add_builtin(print);
    events::add_builtin(raw);
    let root = tracefs::tracefs();
    root.file("trace_marker", Text::new(0o220).write(move |data| tracing_mark_write(print_id, data)));
    root.file("trace_marker_raw", Text::new(0o220).write(move |data| write_raw(raw_id, data)));
}

/// What a write is told of a record that was not taken. One that was dropped is counted in `stats`, and as on Linux the
/// writer is not bothered with it; one that is refused because recording is off is.
fn outcome(taken: usize, recording: Result<(), Refused>) -> Result<usize, Errno> {
    match recording {
        Err(Refused::Off) => Err(Errno::EBADF),
        _ => Ok(taken),
    }
}

/// Records a text. Its own address is the place of the record, and readers know its name.
#[expect(unsafe_code, reason = "a symbol by the name that it has on Linux")]
// SAFETY: no other symbol of this name.
#[unsafe(no_mangle)]
fn tracing_mark_write(id: u16, data: &[u8]) -> Result<usize, Errno> {
    if !Opt::Markers.is_on() {
        return Err(Errno::EINVAL);
    }
    let text = data.get(..data.len().min(MAX_TEXT)).unwrap_or(data);
    // The record ends in a line end and a NUL, whatever the writer sent.
    let line_end = if text.ends_with(b"\n") { 0 } else { 1 };
    let pin = PreemptGuard::new();
    comms::note();
    let recording = buffer::reserve_here(&pin, TEXT_AT + text.len() + line_end + 1).map(|record| {
        record.put_u64(0, buffer::header(id));
        let place: fn(u16, &[u8]) -> Result<usize, Errno> = tracing_mark_write;
        record.put_u64(HEADER_LEN, place as usize as u64);
        record.put_line(TEXT_AT, text);
        record.commit();
    });
    outcome(text.len(), recording)
}

fn write_raw(id: u16, data: &[u8]) -> Result<usize, Errno> {
    if !Opt::Markers.is_on() || data.len() < MIN_RAW || data.len() > MAX_RECORD_BYTES - HEADER_LEN {
        return Err(Errno::EINVAL);
    }
    let pin = PreemptGuard::new();
    comms::note();
    let recording = buffer::reserve(&pin, HEADER_LEN + data.len()).map(|record| {
        record.put_u64(0, buffer::header(id));
        record.put_bytes(HEADER_LEN, data);
        record.commit();
    });
    outcome(data.len(), recording)
}
