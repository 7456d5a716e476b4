//! The small programs, and the table through which the shell finds them and a kernel adds its own.

mod args;
mod dump;
pub(crate) mod files;
mod format;
mod grep;
mod lines;
mod regex;
mod sort;
pub(crate) mod system;
mod test;
mod text;
mod time;

pub use time::utc;

use alloc::{sync::Arc, vec::Vec};

use crate::ctx::Ctx;

/// What a program is: it gets its world and its arguments (without its own name, which is
/// [`Ctx::name`]), and returns its exit status.
pub type Main = fn(&mut Ctx, &[&str]) -> i32;

/// One program.
#[derive(Clone, Copy)]
pub struct Program {
    /// The name by which it is called.
    pub name: &'static str,
    /// Its arguments, as a usage line shows them: `[-n COUNT] [FILE]...`.
    pub usage: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// The program itself.
    pub main: Main,
}

/// All programs of a shell: the ones that ship here, then the tables that were added.
#[derive(Clone)]
pub struct Programs {
    tables: Arc<[&'static [Program]]>,
}

impl Programs {
    /// The programs of this crate and those of `more`; where two have the same name, the later table wins.
    #[must_use]
    pub fn with(more: &[&'static [Program]]) -> Self {
        let mut tables: Vec<&'static [Program]> = Vec::new();
        tables.extend(BUILT_IN);
        tables.extend(more);
        Self { tables: tables.into() }
    }

    /// The program of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Program> {
        self.tables.iter().rev().find_map(|table| table.iter().find(|p| p.name == name))
    }

    /// Every program once, sorted by name.
    #[must_use]
    pub fn all(&self) -> Vec<&'static Program> {
        let mut all: Vec<&'static Program> = Vec::new();
        for program in self.tables.iter().rev().flat_map(|table| table.iter()) {
            if !all.iter().any(|known| known.name == program.name) {
                all.push(program);
            }
        }
        all.sort_unstable_by_key(|p| p.name);
        all
    }
}

/// The tables of this crate, by subject.
const BUILT_IN: &[&[Program]] = &[
    dump::PROGRAMS,
    files::PROGRAMS,
    format::PROGRAMS,
    grep::PROGRAMS,
    lines::PROGRAMS,
    sort::PROGRAMS,
    system::PROGRAMS,
    test::PROGRAMS,
    text::PROGRAMS,
    time::PROGRAMS,
];
