//! The interactive loop: that of `crates/sh`, on the console, with the kernel's functions to complete.

use crate::ksyms;
use alloc::string::String;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sh::{Io, Shell};

/// More names than this are not gathered for a Tab: they would be counted, not shown.
const NAMES: usize = 2048;

/// Runs lines until the shell or its input ends.
pub(super) fn run(shell: &mut Shell, console: &Arc<dyn Io>) {
    sh::interact(shell, console, &functions);
}

/// Functions whose names start with `prefix`.
fn functions(prefix: &str) -> Vec<String> {
    let Some(table) = ksyms::table() else { return Vec::new() };
    let text = table.with_prefix(prefix).filter(|symbol| symbol.is_text());
    text.take(NAMES).map(|symbol| symbol.name.to_string()).collect()
}
