//! The lines of KTAP: how they are spelt, and nothing else.

use super::{Stop, TestResult};
use core::fmt::{self, Write};

/// First line of a report, and of each subtest level.
pub(super) const VERSION: &str = "KTAP version 1";

/// What one subtest level is indented by.
pub(super) const INDENT: &str = "    ";

/// Opens a group's subtest level: version, name, plan.
pub(super) fn open_group(out: &mut dyn Write, name: &str, planned: usize) -> fmt::Result {
    writeln!(out, "{INDENT}{VERSION}")?;
    writeln!(out, "{INDENT}# Subtest: {name}")?;
    writeln!(out, "{INDENT}1..{planned}")
}

/// One result line.
pub(super) fn result(
    out: &mut dyn Write,
    indent: &str,
    number: usize,
    name: &str,
    result: TestResult,
) -> fmt::Result {
    match result {
        Ok(()) => writeln!(out, "{indent}ok {number} {name}"),
        Err(Stop::Failed) => writeln!(out, "{indent}not ok {number} {name}"),
        Err(Stop::Skipped(why)) => writeln!(out, "{indent}ok {number} {name} # SKIP {why}"),
    }
}

/// Writes text as diagnostics: every line of it begins with the indent and `# `, so that no text, whatever it
/// holds, can be taken for a result.
pub(super) struct Diagnostics<'a> {
    out: &'a mut dyn Write,
    at_line_start: bool,
}

impl<'a> Diagnostics<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, at_line_start: true }
    }

    /// Writes `text` as one or more whole lines. That the output is broken is found by the next result line.
    pub(super) fn write(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.write_fmt(text);
        if !self.at_line_start {
            let _ = self.out.write_char('\n');
            self.at_line_start = true;
        }
    }
}

impl Write for Diagnostics<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for piece in s.split_inclusive('\n') {
            if self.at_line_start {
                write!(self.out, "{INDENT}# ")?;
            }
            self.out.write_str(piece)?;
            self.at_line_start = piece.ends_with('\n');
        }
        Ok(())
    }
}
