//! A write that is a row of commands, as `kprobe_events` and its siblings take it.
//!
//! The rules are Linux's (`trace_parse_run_command`): the bytes of one `write(2)` are cut at newlines; the
//! last line needs none; `#` starts a comment that ends with the line; an empty line does nothing; a line
//! that fails ends the write with its errno, and what was done before it stays done. One thing differs: `#`
//! starts a comment at the start of a word only, since names here may have one inside (`{closure#0}`).
//!
//! ```text
//!   "p:a f\n# two more\n\np:b g # here\nnonsense\np:c h"
//!     ✓ "p:a f"   ✓ ""   ✓ ""   ✓ "p:b g "   ✗ EINVAL: `p:c h` is never looked at
//! ```
//!
//! This file is pure and is also tested on the host.

use tracecore::errno::Errno;

/// A command line has at most this many bytes (Linux's 4 KiB buffer, without newline and NUL).
pub(crate) const LINE_MAX: usize = 4094;

/// Runs each line of `data`; the number of bytes written is all of them.
pub(crate) fn run(data: &[u8], command: &mut dyn FnMut(&str) -> Result<(), Errno>) -> Result<usize, Errno> {
    let mut rest = data;
    while !rest.is_empty() {
        let end = rest.iter().position(|b| *b == b'\n');
        let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
        if line.len() > LINE_MAX || line.contains(&0) {
            return Err(Errno::EINVAL);
        }
        let text = line.get(..comment(line)).unwrap_or_default();
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        if !text.trim().is_empty() {
            command(text)?;
        }
    }
    Ok(data.len())
}

/// Where the line's comment begins, or the line ends.
fn comment(line: &[u8]) -> usize {
    let mut before = b' ';
    let mut begins = |byte: u8| {
        let before = core::mem::replace(&mut before, byte);
        byte == b'#' && before.is_ascii_whitespace()
    };
    line.iter().position(|byte| begins(*byte)).unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::{LINE_MAX, run};
    use std::{string::String, string::ToString, vec, vec::Vec};
    use tracecore::errno::Errno;

    fn split(data: &[u8]) -> (Result<usize, Errno>, Vec<String>) {
        let mut seen = Vec::new();
        let result = run(data, &mut |line| {
            seen.push(line.to_string());
            if line.contains("bad") { Err(Errno::ENOENT) } else { Ok(()) }
        });
        (result, seen)
    }

    fn strings(of: &[&str]) -> Vec<String> {
        of.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_line_is_a_command() {
        assert_eq!(split(b"a\nb\n"), (Ok(4), strings(&["a", "b"])));
        assert_eq!(split(b"a\nb"), (Ok(3), strings(&["a", "b"])));
        assert_eq!(split(b""), (Ok(0), vec![]));
        assert_eq!(split(b"\n\n \n"), (Ok(4), vec![]));
    }

    #[test]
    fn comments_end_with_their_line() {
        assert_eq!(split(b"# bad\na # bad\n#\nb"), (Ok(17), strings(&["a ", "b"])));
    }

    #[test]
    fn a_name_may_have_a_number_sign_inside() {
        assert_eq!(split(b"p f::{closure#0}\t#c"), (Ok(19), strings(&["p f::{closure#0}\t"])));
    }

    #[test]
    fn the_first_failure_ends_the_write() {
        assert_eq!(split(b"a\nbad\nb\n"), (Err(Errno::ENOENT), strings(&["a", "bad"])));
    }

    #[test]
    fn lines_are_bounded_and_text() {
        let mut long = vec![b'x'; LINE_MAX];
        assert_eq!(split(&long).0, Ok(LINE_MAX));
        long.push(b'x');
        assert_eq!(split(&long).0, Err(Errno::EINVAL));
        assert_eq!(split(b"a\0b").0, Err(Errno::EINVAL));
        assert_eq!(split(b"a\xff").0, Err(Errno::EINVAL));
    }
}
