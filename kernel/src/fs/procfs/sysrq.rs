//! `/proc/sysrq-trigger`: a letter does something drastic. Linux's letters.

use tracecore::errno::Errno;

use crate::arch::power;
use crate::fs::textfs::{Dir, Text};

pub(super) fn add(root: &Dir) {
    root.file(
        "sysrq-trigger",
        Text::new(0o200).write(|data| {
            match data.first() {
                // A crash, to see what a crash looks like.
                Some(b'c') => panic!("sysrq triggered crash"),
                Some(b'b') => power::reset(),
                Some(b'o') => power::off(0),
                _ => Err(Errno::EINVAL),
            }
        }),
    );
}
