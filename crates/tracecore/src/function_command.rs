//! Commands of `set_ftrace_filter`: what to do when a function is entered.
//!
//! ```text
//!   GLOB:traceon[:COUNT]                           records from here on
//!   GLOB:traceoff[:COUNT]                          records no more
//!   GLOB:stacktrace[:COUNT]                        records who called
//!   GLOB:dump    GLOB:cpudump                      prints what was recorded, once; of this CPU
//!   GLOB:enable_event:GROUP:EVENT[:COUNT]          lets an event record
//!   GLOB:disable_event:GROUP:EVENT[:COUNT]         or not
//!   !…                                             takes that back
//! ```
//!
//! Names here are Rust paths, so a colon that has another beside it separates nothing. A count is read as C reads a
//! number: `010` is eight and `0x10` sixteen. To take a command back its count only matters as being there: Linux keeps those
//! with and those without apart.

use crate::errno::Errno;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Tracing goes on, or off.
    Trace(bool),
    /// The callers are recorded.
    StackTrace,
    /// What all CPUs have recorded is printed.
    Dump,
    /// What this CPU has recorded is printed.
    CpuDump,
    /// An event goes on, or off.
    Event {
        /// Which of both.
        on: bool,
        /// The event's group.
        group: &'a str,
        /// Its name.
        event: &'a str,
    },
}

/// A command, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// The functions.
    pub functions: &'a str,
    /// Is it to be taken back?
    pub remove: bool,
    /// What is to be done.
    pub action: Action<'a>,
    /// How often; `None` for always.
    pub count: Option<u64>,
}

/// Reads a word of `set_ftrace_filter`; `None` when it is no command.
///
/// # Errors
/// EINVAL for a command that there is not, or that says too little or too much.
pub fn parse(word: &str) -> Option<Result<Command<'_>, Errno>> {
    let at = separator(word)?;
    let (functions, rest) = (word.get(..at)?, word.get(at + 1..)?);
    Some(command(functions, rest).ok_or(Errno::EINVAL))
}

/// The first colon that stands alone.
fn separator(word: &str) -> Option<usize> {
    let bytes = word.as_bytes();
    let is_colon = |at: Option<usize>| at.and_then(|at| bytes.get(at)) == Some(&b':');
    (0..bytes.len())
        .find(|&at| is_colon(Some(at)) && !is_colon(at.checked_sub(1)) && !is_colon(at.checked_add(1)))
}

fn command<'a>(functions: &'a str, rest: &'a str) -> Option<Command<'a>> {
    let (remove, functions) = match functions.strip_prefix('!') {
        Some(functions) => (true, functions),
        None => (false, functions),
    };
    let mut words = rest.split(':');
    let name = words.next()?;
    let action = match name {
        "traceon" | "traceoff" => Action::Trace(name == "traceon"),
        "stacktrace" => Action::StackTrace,
        "dump" => Action::Dump,
        "cpudump" => Action::CpuDump,
        "enable_event" | "disable_event" => {
            let (group, event) = (words.next()?, words.next()?);
            Action::Event { on: name == "enable_event", group, event }
        }
        _ => return None,
    };
    let count = match words.next() {
        Some(text) => Some(number(text)?),
        None => None,
    };
    let whole = words.next().is_none() && !functions.is_empty();
    // One of a dump is enough, and Linux takes no other count for it.
    let count = match action {
        Action::Dump => Some(1),
        Action::CpuDump => None,
        _ => count,
    };
    whole.then_some(Command { functions, remove, action, count })
}

/// A number as C writes it.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text.get(1..)?, 8),
        None => (text, 10),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    u64::from_str_radix(digits, radix).ok().filter(|_| plain && !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Action, Command, parse};
    use crate::errno::Errno;

    #[test]
    fn commands_are_read() {
        for (text, functions, remove, action, count) in [
            ("f:traceon", "f", false, Action::Trace(true), None),
            ("f*:traceoff:3", "f*", false, Action::Trace(false), Some(3)),
            ("!a::b:stacktrace:0", "a::b", true, Action::StackTrace, Some(0)),
            ("a::{closure#0}:traceoff:0x10", "a::{closure#0}", false, Action::Trace(false), Some(16)),
            ("7:traceoff:010", "7", false, Action::Trace(false), Some(8)),
            ("f:dump:5", "f", false, Action::Dump, Some(1)),
            ("f:cpudump:5", "f", false, Action::CpuDump, None),
            (
                "f:enable_event:sched:sched_switch",
                "f",
                false,
                Action::Event { on: true, group: "sched", event: "sched_switch" },
                None,
            ),
            (
                "!f:disable_event:sched:sched_switch:2",
                "f",
                true,
                Action::Event { on: false, group: "sched", event: "sched_switch" },
                Some(2),
            ),
        ] {
            assert_eq!(parse(text), Some(Ok(Command { functions, remove, action, count })), "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_a_name() {
        for text in ["f", "a::b", "<[u8]>::len", "*", "!x::y*", ""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            ":traceoff",
            "!:traceoff",
            "f:",
            "f:nosuchcmd",
            "f:snapshot",
            "f:mod",
            "f:traceoff:",
            "f:traceoff:x",
            "f:traceoff:-1",
            "f:traceoff:+1",
            "f:traceoff:5:7",
            "f:traceoff:99999999999999999999",
            "f:enable_event",
            "f:enable_event:sched",
            "f:enable_event:sched:sched_switch:",
            "f:enable_event:sched:sched_switch:x",
            "a:b:c:d:e",
        ] {
            assert_eq!(parse(text), Some(Err(Errno::EINVAL)), "{text}");
        }
    }
}
