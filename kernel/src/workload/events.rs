//! An event to try events with.

use crate::tracepoint::trace_event;

trace_event! {
    /// `work_text` was given the address of a text, good or bad: it is read when the event is recorded, and only then.
    workload:work_text(address: u64) {
        address: unsigned_long = address,
        text: string_at = address,
    }
    print r#""address=0x%lx text=%s", REC->address, __get_str(text)"#
}
