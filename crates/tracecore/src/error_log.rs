//! `error_log`: the last commands that were refused, each with a caret under what was wrong.
//!
//! ```text
//! [   12.533866] trace_kprobe: error: Invalid probed address or symbol
//!   Command: p:foo nosuchfunction
//!                  ^
//! ```
//!
//! It keeps the last [`KEPT`]; the ninth error pushes the first one out.

use crate::event::print::put;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// How many errors are kept.
pub const KEPT: usize = 8;

/// What stands before the command on its line; the caret is moved by as much.
const COMMAND: &str = "  Command: ";

/// One refused command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was refused.
    pub time_ns: u64,
    /// Who refused it, such as `trace_kprobe`.
    pub subsystem: &'static str,
    /// Why.
    pub text: &'static str,
    /// The command, its words with single blanks between.
    pub command: String,
    /// The byte of the command that the caret points at.
    pub column: usize,
}

/// The last errors, oldest first.
#[derive(Clone, Debug, Default)]
pub struct ErrorLog {
    entries: VecDeque<Entry>,
}

impl ErrorLog {
    /// An empty log.
    pub const fn new() -> Self {
        Self { entries: VecDeque::new() }
    }

    /// Adds an error; the oldest makes room for it.
    pub fn push(&mut self, entry: Entry) {
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The errors, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Puts the text of the file.
    pub fn print(&self, out: &mut Vec<u8>) {
        for entry in &self.entries {
            let Entry { time_ns, subsystem, text, command, column } = entry;
            let (seconds, rest) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
            put!(out, "[{seconds:5}.{:06}] {subsystem}: error: {text}\n", rest / 1000);
            put!(out, "{COMMAND}{command}\n");
            // The caret stands in the command or right behind it, whatever the entry says.
            let blanks = COMMAND.len() + (*column).min(command.len() + 1);
            out.resize(out.len() + blanks, b' ');
            out.extend_from_slice(b"^\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn entry(command: &str) -> Entry {
        Entry {
            time_ns: 12_533_866_999,
            subsystem: "trace_kprobe",
            text: "Invalid probed address or symbol",
            command: command.into(),
            column: 6,
        }
    }

    fn text(log: &ErrorLog) -> String {
        let mut out = Vec::new();
        log.print(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn an_error_looks_as_on_linux() {
        let mut log = ErrorLog::new();
        assert_eq!(text(&log), "");
        log.push(entry("p:foo nosuchfunction"));
        let want = "[   12.533866] trace_kprobe: error: Invalid probed address or symbol
  Command: p:foo nosuchfunction
                 ^
";
        assert_eq!(text(&log), want);
        log.clear();
        assert_eq!(text(&log), "");
    }

    #[test]
    fn the_last_eight_are_kept() {
        let mut log = ErrorLog::new();
        for n in 0..10 {
            log.push(entry(&format!("p:foo nosuch{n}")));
        }
        let commands: Vec<_> = log.entries().map(|entry| entry.command.clone()).collect();
        assert_eq!(commands.len(), KEPT);
        assert_eq!(commands.first().map(String::as_str), Some("p:foo nosuch2"));
        assert_eq!(commands.last().map(String::as_str), Some("p:foo nosuch9"));
    }
}
