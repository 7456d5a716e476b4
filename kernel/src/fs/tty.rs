//! The terminal on the console's wire: what turns keys into lines, and a key into an interrupt.
//!
//! ```text
//!   UART interrupt ─ key() ─┬─ raw ───────────────────────────────────▶ ready ── read
//!                           └─ cooked ─▶ line (echo, erase) ── Enter ──▶   │
//!                                  ^C: drops the line, calls the interrupt hook
//!                                  ^D: gives what there is of the line; alone, the end of input
//! ```
//!
//! Cooked is how a terminal starts and what a program like `cat` sees; a line editor switches to raw, gets every
//! key at once, and echoes by itself. Keys arrive in interrupt context, so both buffers are fixed in size and
//! a key for which there is no room is dropped, counted, and answered with a bell.

use super::events;
use super::vfs::File;
use super::wait::wait_until;
use crate::arch::uart;
use crate::sync::{Once, SpinLock};
use crate::task::WaitQueue;
use crate::tracepoint::trace;
use crate::{boot, irq};
use alloc::vec::Vec;
use tracecore::errno::Errno;

/// Bytes of a line that is being typed; Linux's `N_TTY_BUF_SIZE`.
const LINE_MAX: usize = 4096;
/// Bytes that wait to be read.
const READY_MAX: usize = 8192;

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// A bounded row of bytes.
struct Fifo<const N: usize> {
    bytes: [u8; N],
    head: usize,
    len: usize,
}

impl<const N: usize> Fifo<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], head: 0, len: 0 }
    }

    fn push(&mut self, byte: u8) -> bool {
        let at = (self.head + self.len) % N;
        match self.bytes.get_mut(at) {
            Some(slot) if self.len < N => {
                *slot = byte;
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    fn pop(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.head).copied().filter(|_| self.len > 0)?;
        self.head = (self.head + 1) % N;
        self.len -= 1;
        Some(byte)
    }

    fn pop_last(&mut self) -> Option<u8> {
        let last = self.len.checked_sub(1)?;
        self.len = last;
        self.bytes.get((self.head + last) % N).copied()
    }
}

/// What was typed: a line of at most `LINE` bytes, and `READY` bytes that wait to be read.
struct State<const LINE: usize, const READY: usize> {
    raw: bool,
    line: Fifo<LINE>,
    ready: Fifo<READY>,
    /// `^D` was typed on an empty line so many times and not yet read.
    ends: u32,
    /// Keys for which there was no room.
    dropped: u64,
}

static STATE: SpinLock<State<LINE_MAX, READY_MAX>> = SpinLock::new(State::new());
static READY: WaitQueue = WaitQueue::new();
static ON_INTERRUPT: Once<fn()> = Once::new();

/// Lets keys in. Without a UART that interrupts there are none.
pub(super) fn init() -> Result<(), Errno> {
    let Some((_, intid)) = boot::info().uart else { return Ok(()) };
    irq::register(intid, "uart-pl011", |_| {
        while let Some(byte) = uart::read() {
            trace!(events::uart_rx(byte));
            key(byte);
        }
    })?;
    irq::enable(intid)?;
    uart::enable_rx_interrupt();
    Ok(())
}

/// Says whom a `^C` concerns.
pub(crate) fn set_interrupt_hook(hook: fn()) {
    // There is one shell; a second hook would be a mistake of this kernel and changes nothing.
    let _ = ON_INTERRUPT.set(hook);
}

/// Keys for which there was no room.
pub(crate) fn dropped() -> u64 {
    STATE.lock().dropped
}

/// Raw or cooked; what was typed of a line so far is handed on.
pub(crate) fn set_raw(raw: bool) {
    let mut state = STATE.lock();
    state.raw = raw;
    state.end_line();
    drop(state);
    READY.wake_all();
}

impl<const LINE: usize, const READY: usize> State<LINE, READY> {
    const fn new() -> Self {
        Self { raw: false, line: Fifo::new(), ready: Fifo::new(), ends: 0, dropped: 0 }
    }

    /// Moves the line to what can be read.
    fn end_line(&mut self) {
        while let Some(byte) = self.line.pop() {
            if !self.ready.push(byte) {
                self.dropped += 1;
            }
        }
    }

    /// Takes a key; is there something to read now? What is to be echoed goes to `echo`.
    fn key(&mut self, key: u8, echo: &mut dyn FnMut(&[u8])) -> bool {
        if self.raw {
            if !self.ready.push(key) {
                self.dropped += 1;
                echo(&[BELL]);
            }
            return true;
        }
        match key {
            b'\r' | b'\n' => {
                echo(b"\r\n");
                // A full line still ends: the newline goes straight to where the line goes.
                self.end_line();
                if !self.ready.push(b'\n') {
                    self.dropped += 1;
                }
                true
            }
            CTRL_C => {
                while self.line.pop().is_some() {}
                echo(b"^C\r\n");
                false
            }
            CTRL_D if self.line.len == 0 => {
                self.ends += 1;
                true
            }
            CTRL_D => {
                self.end_line();
                true
            }
            CTRL_U => {
                while self.line.pop_last().is_some() {
                    echo(b"\x08 \x08");
                }
                false
            }
            BACKSPACE | DELETE => {
                // A character of several bytes goes as a whole.
                while let Some(byte) = self.line.pop_last() {
                    if byte & 0xc0 != 0x80 {
                        echo(b"\x08 \x08");
                        break;
                    }
                }
                false
            }
            _ if self.line.push(key) => {
                echo(&[key]);
                false
            }
            _ => {
                self.dropped += 1;
                echo(&[BELL]);
                false
            }
        }
    }
}

/// A byte came in on the wire. Called by the UART's interrupt handler.
pub(crate) fn key(byte: u8) {
    let mut state = STATE.lock();
    let interrupt = byte == CTRL_C && !state.raw;
    let wake = state.key(byte, &mut uart::write);
    drop(state);
    if wake {
        READY.wake_all();
    }
    if let (true, Some(hook)) = (interrupt, ON_INTERRUPT.get()) {
        hook();
    }
}

/// Writes text to the wire, each newline as the two characters that a terminal wants.
pub(crate) fn print(text: &[u8]) {
    trace!(events::uart_tx(text));
    for line in text.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(body) => {
                uart::write(body);
                uart::write(b"\r\n");
            }
            None => uart::write(line),
        }
    }
}

/// The terminal as a file.
pub(crate) struct Console;

impl File for Console {
    fn read(&self, _pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            {
                let mut state = STATE.lock();
                let mut n = 0;
                while let Some(slot) = buf.get_mut(n) {
                    let Some(byte) = state.ready.pop() else { break };
                    *slot = byte;
                    n += 1;
                    if byte == b'\n' && !state.raw {
                        break;
                    }
                }
                if n > 0 {
                    return Ok(n);
                }
                if state.ends > 0 {
                    state.ends -= 1;
                    return Ok(0);
                }
            }
            wait_until(&READY, || {
                let state = STATE.lock();
                state.ready.len > 0 || state.ends > 0
            })?;
        }
    }

    fn write(&self, _pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        print(data);
        Ok((data.len(), 0))
    }

    fn seekable(&self) -> bool {
        false
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

/// A terminal without a wire: what can be read after `keys` were typed, what was echoed, how often the end of input
/// was typed, and how many keys had no room. There is room for 8 bytes of a line and 16 to be read.
pub(super) fn typed(raw: bool, keys: &[u8]) -> (Vec<u8>, Vec<u8>, u32, u64) {
    let mut state = State::<8, 16>::new();
    state.raw = raw;
    let mut echoed = Vec::new();
    for key in keys {
        state.key(*key, &mut |text| echoed.extend_from_slice(text));
    }
    let ready = core::iter::from_fn(|| state.ready.pop()).collect();
    (ready, echoed, state.ends, state.dropped)
}
