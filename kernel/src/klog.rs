//! The kernel log: what `log::info!` and its kin say, kept in a ring and printed on the console.
//!
//! ```text
//!   log::warn!(…) ──▶ record {level, sequence number, time, text} ──▶ ring (the oldest make room) ──▶ /dev/kmsg, dmesg
//!                          └─▶ console, if it is urgent enough (boot argument loglevel=N, quiet, debug)
//! ```
//!
//! Anybody may log anywhere, even a handler of an exception that struck while this CPU held the log's lock. So nobody waits
//! long for it: a line that cannot be kept is counted, and printed all the same if it can.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::arch::uart;
use crate::sync::{IrqWork, PreemptGuard, SpinLock};
use crate::task::WaitQueue;
use crate::tracepoint::{trace, trace_event};
use crate::{boot, time};

/// Bytes of text and heads that are kept.
const RING_BYTES: usize = 128 << 10;
/// The longest line; a longer one is cut.
const MAX_LINE: usize = 512;
/// Messages with a smaller number are printed on the console: all but debugging.
const DEFAULT_CONSOLE_LEVEL: u8 = 7;
/// What `quiet` sets: warnings are not printed, errors are.
const QUIET_CONSOLE_LEVEL: u8 = 4;
/// How often the lock is tried before a line is given up.
const LOCK_TRIES: usize = 10_000;

/// What stands before each text in the ring.
#[derive(Clone, Copy)]
struct Head {
    level: u8,
    len: u16,
    time_ns: u64,
}

const HEAD_BYTES: usize = 11;

impl Head {
    fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0] = self.level;
        bytes[1..3].copy_from_slice(&self.len.to_le_bytes());
        bytes[3..].copy_from_slice(&self.time_ns.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; HEAD_BYTES]) -> Self {
        let [level, l0, l1, time @ ..] = bytes;
        Self { level, len: u16::from_le_bytes([l0, l1]), time_ns: u64::from_le_bytes(time) }
    }

    fn size(self) -> usize {
        HEAD_BYTES + usize::from(self.len)
    }
}

/// Records back to back, wrapping around.
struct Ring {
    bytes: [u8; RING_BYTES],
    /// Where the oldest record starts, and its number; positions never wrap, only their places in `bytes` do.
    first: usize,
    first_seq: u64,
    /// Where the next record goes, and its number.
    next: usize,
    next_seq: u64,
}

static RING: SpinLock<Ring> =
    SpinLock::new(Ring { bytes: [0; RING_BYTES], first: 0, first_seq: 0, next: 0, next_seq: 0 });
/// Who waits for the next record.
pub(crate) static READERS: WaitQueue = WaitQueue::new();
/// Waking takes the scheduler's locks, which whoever logs may hold: an interrupt does it a moment later.
static WAKE: IrqWork = IrqWork::new(|| {
    READERS.wake_all();
});
static LOST: AtomicU64 = AtomicU64::new(0);
static CONSOLE_LEVEL: AtomicU8 = AtomicU8::new(DEFAULT_CONSOLE_LEVEL);

impl Ring {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            self.bytes[(at + i) % RING_BYTES] = *byte;
        }
    }

    fn get(&self, at: usize, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            *byte = self.bytes[(at + i) % RING_BYTES];
        }
    }

    fn head(&self, at: usize) -> Head {
        let mut bytes = [0; HEAD_BYTES];
        self.get(at, &mut bytes);
        Head::from_bytes(bytes)
    }

    fn push(&mut self, head: Head, text: &[u8]) {
        while self.next + head.size() - self.first > RING_BYTES {
            self.first += self.head(self.first).size();
            self.first_seq += 1;
        }
        self.put(self.next, &head.to_bytes());
        self.put(self.next + HEAD_BYTES, text);
        self.next += head.size();
        self.next_seq += 1;
    }
}

/// A line on the stack: nothing is allocated to say something.
struct Line {
    text: [u8; MAX_LINE],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let mut room = MAX_LINE - self.len;
        // Cut between characters.
        while !s.is_char_boundary(room.min(s.len())) {
            room -= 1;
        }
        let part = &s.as_bytes()[..room.min(s.len())];
        self.text[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
        Ok(())
    }
}

mod events {
    use super::trace_event;

    trace_event! {
        /// A line of the log, before it is printed.
        printk:console(text: &[u8]) {
            msg: text_bytes = text,
        }
        print r#""%s", __get_str(msg)"#
    }
}

/// Keeps a line and prints it; levels are syslog's, 0 (emergency) to 7 (debugging).
pub(crate) fn line(level: u8, args: fmt::Arguments<'_>) {
    let mut line = Line { text: [0; MAX_LINE], len: 0 };
    // A Display that fails has said what it could.
    let _ = line.write_fmt(args);
    let text = line.text[..line.len].trim_ascii_end();
    trace!(events::console(text));
    let head = Head { level, len: text.len() as u16, time_ns: time::now_ns() };
    let kept = (0..LOCK_TRIES).find_map(|_| {
        let ring = RING.try_lock();
        if ring.is_none() {
            crate::arch::cpu::relax();
        }
        ring
    });
    match kept {
        Some(mut ring) => {
            ring.push(head, text);
            drop(ring);
            if READERS.has_waiters() {
                WAKE.queue(&PreemptGuard::new());
            }
        }
        None => {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }
    if level < CONSOLE_LEVEL.load(Ordering::Relaxed) {
        print(head.time_ns, text);
    }
}

fn print(time_ns: u64, text: &[u8]) {
    let mut stamp = Line { text: [0; MAX_LINE], len: 0 };
    let _ = write!(stamp, "[{:5}.{:06}] ", time_ns / 1_000_000_000, time_ns / 1000 % 1_000_000);
    uart::write_lines(&[&stamp.text[..stamp.len], text, b"\r\n"]);
}

/// Lines that could not be kept.
pub(crate) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => 3,
            log::Level::Warn => 4,
            log::Level::Info => 6,
            log::Level::Debug | log::Level::Trace => 7,
        };
        line(level, *record.args());
    }

    fn flush(&self) {}
}

/// Takes over what is logged. Once, at boot, when the boot arguments are known.
pub(crate) fn init() {
    let info = boot::info();
    if info.flag("quiet") {
        CONSOLE_LEVEL.store(QUIET_CONSOLE_LEVEL, Ordering::Relaxed);
    }
    if info.flag("debug") {
        CONSOLE_LEVEL.store(8, Ordering::Relaxed);
    }
    if let Some(level) = info.arg("loglevel").and_then(|level| level.parse().ok()) {
        CONSOLE_LEVEL.store(level, Ordering::Relaxed);
    }
    // The second call of a boot would be a mistake, and leaves the first logger in place.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}

/// Where a reader of the log is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor(Option<(usize, u64)>);

/// Records between the last one that the reader got and the next were overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overwritten;

impl Cursor {
    /// The next record as `/dev/kmsg` gives it, `LEVEL,NUMBER,MICROSECONDS,-;TEXT`; none when there is none yet.
    pub(crate) fn next(&mut self) -> Option<Result<String, Overwritten>> {
        let ring = RING.lock();
        let (pos, seq) = self.0.unwrap_or((ring.first, ring.first_seq));
        if seq < ring.first_seq {
            self.0 = Some((ring.first, ring.first_seq));
            return Some(Err(Overwritten));
        }
        self.0 = Some((pos, seq));
        if seq == ring.next_seq {
            return None;
        }
        let head = ring.head(pos);
        let mut text = [0; MAX_LINE];
        let text = &mut text[..usize::from(head.len).min(MAX_LINE)];
        ring.get(pos + HEAD_BYTES, text);
        self.0 = Some((pos + head.size(), seq + 1));
        drop(ring);
        let Head { level, time_ns, .. } = head;
        Some(Ok(format!("{level},{seq},{},-;{}\n", time_ns / 1000, String::from_utf8_lossy(text))))
    }

    /// Is there no next record yet?
    pub(crate) fn at_end(&self) -> bool {
        let ring = RING.lock();
        self.0.map_or(ring.first_seq, |(_, seq)| seq) == ring.next_seq
    }
}
