//! Texts: trace_printk, trace_vprintk, snprintf.
//!
//! ```text
//!   trace_printk("got %d", 11, 5) ──▶ bpf::printf ──▶ event bpf_trace/bpf_trace_printk ──▶ trace, trace_pipe
//! ```
//!
//! The event is switched on when a program is loaded that may write it ([`prepare`]), as on Linux; who wants silence
//! switches it off.

use core::fmt::{self, Write};

use ::bpf::printf::{Source, print};
use tracecore::errno::Errno;

use super::{bytes_at, error, events, helpers, memory, room_at};
use crate::ksyms;
use crate::tracepoint::trace;

/// The longest text of a trace_printk; what is longer is cut.
const TEXT_MAX: usize = 512;
/// Arguments of trace_vprintk and snprintf at most.
const ARGS_MAX: usize = 12;
/// The longest format.
const FORMAT_MAX: u64 = 4096;

/// The kernel's memory and names.
struct Kernel;

impl Source for Kernel {
    fn text(&self, addr: u64, _: bool, to: &mut [u8]) -> Option<usize> {
        memory::text(to, addr)
    }

    fn symbol(&self, addr: u64, offset: bool, out: &mut dyn Write) -> fmt::Result {
        match ksyms::by_addr(addr as usize) {
            Some(symbol) if offset => write!(out, "{}+{:#x}", symbol.name, addr - symbol.start),
            Some(symbol) => out.write_str(symbol.name),
            None => write!(out, "{addr:#x}"),
        }
    }
}

helpers! {
    /// Writes a line into the trace: its length.
    fn trace_printk(format, size, a, b, c) {
        // SAFETY: r1 is memory of the size in r2.
        let format = unsafe { bytes_at(format, size) };
        say(format, &[a, b, c])
    }

    /// The same with its arguments in memory.
    fn trace_vprintk(format, size, data, len) {
        let Some(count) = arguments(len) else { return error(Errno::EINVAL) };
        // SAFETY: r1 is memory of the size in r2, r3 of the size in r4.
        let (format, data) = unsafe { (bytes_at(format, size), bytes_at(data, len)) };
        let mut args = [0; ARGS_MAX];
        copy(&mut args, data);
        say(format, args.get(..count).unwrap_or(&[]))
    }

    /// Writes a text into memory: how long it would be, with its NUL.
    fn snprintf(to, size, format, data, len) {
        let Some(count) = arguments(len) else { return error(Errno::EINVAL) };
        // SAFETY: r1 is memory of the size in r2, r4 of the size in r5.
        let (to, data) = unsafe { (room_at(to, size), bytes_at(data, len)) };
        let mut args = [0; ARGS_MAX];
        copy(&mut args, data);
        // SAFETY: r3 is a text that ends with a NUL.
        let format = unsafe { text_at(format) };
        to.fill(0);
        match print(to, format, args.get(..count).unwrap_or(&[]), &Kernel) {
            Ok(len) => {
                if let Some(last) = to.last_mut() {
                    *last = 0;
                }
                len as u64 + 1
            }
            Err(_) => {
                to.fill(0);
                error(Errno::EINVAL)
            }
        }
    }
}

/// How many arguments there are in so many bytes.
fn arguments(len: u64) -> Option<usize> {
    (len.is_multiple_of(8) && len <= 8 * ARGS_MAX as u64).then_some(len as usize / 8)
}

fn copy(args: &mut [u64; ARGS_MAX], data: &[u8]) {
    for (arg, word) in args.iter_mut().zip(data.as_chunks::<8>().0) {
        *arg = u64::from_le_bytes(*word);
    }
}

/// The text at an address.
///
/// # Safety
/// It ends with a NUL.
unsafe fn text_at<'a>(addr: u64) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: until here no NUL has come.
    while len < FORMAT_MAX && unsafe { *((addr + len) as *const u8) } != 0 {
        len += 1;
    }
    // SAFETY: those bytes were just read.
    unsafe { bytes_at(addr, len) }
}

/// Writes a line into the trace, if the format is one: it ends with a NUL, as Linux wants it.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn say(format: &[u8], args: &[u64]) -> u64 {
    let Some(end) = format.iter().position(|byte| *byte == 0) else { return error(Errno::EINVAL) };
    let mut text = [0; TEXT_MAX];
    match print(&mut text, format.get(..end).unwrap_or(&[]), args, &Kernel) {
        Ok(len) => {
            let _shown = text.get(..len.min(TEXT_MAX)).unwrap_or(&[]);
            trace!(events::bpf_trace_printk(_shown));
            len as u64
        }
        Err(_) => error(Errno::EINVAL),
    }
}

/// Gets ready for a program that calls these helpers. By a task.
///
/// # Errors
/// Those of switching an event on.
pub(super) fn prepare(helpers: &[i32]) -> Result<(), Errno> {
    const WRITERS: [i32; 2] = [6, 177];
    if helpers.iter().any(|number| WRITERS.contains(number)) {
        crate::trace::enable_event("bpf_trace:bpf_trace_printk")?;
    }
    Ok(())
}
