//! The event of trace_printk.

use crate::tracepoint::trace_event;

trace_event! {
    /// A program has something to say.
    bpf_trace:bpf_trace_printk(text: &[u8]) {
        bpf_string: text_bytes = text,
    }
    print r#""%s", __get_str(bpf_string)"#
}
