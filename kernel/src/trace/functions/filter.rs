//! Which functions: `set_ftrace_filter` and `set_ftrace_notrace`.
//!
//! ```text
//!   work_*        adds functions by name or glob          a name alone is looked up; a glob walks all names
//!   !work_add     takes them out
//!   12            adds the twelfth of available_filter_functions
//!   work_*:…      a command: see `commands`               only in set_ftrace_filter
//! ```
//!
//! A write takes one word, as on Linux, and a word that no blank ends goes on with the next write, or ends with the file. Words
//! are collected while the file is open, and the filter changes when it is closed: emptying and refilling it is one
//! change of text. Commands are carried out at once.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use tracecore::errno::Errno;
use tracecore::function_command;
use tracecore::glob::Pattern;

use super::commands;

use crate::fs::textfs::Session;
use crate::fs::vfs::How;
use crate::ftrace::{self, Site, SiteSet};
use crate::ksyms;
use crate::task::Mutex;

/// One of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Only these; when it is empty, all.
    Filter,
    /// Not these.
    Notrace,
}

/// The sets of both lists; `None` is none.
static SETS: Mutex<[Option<SiteSet>; 2]> = Mutex::new([None, None]);

/// Longest word.
const MAX_WORD: usize = 1024;

impl List {
    fn get(self) -> Option<SiteSet> {
        SETS.lock()[self as usize].clone()
    }

    fn set(self, set: SiteSet) {
        SETS.lock()[self as usize] = (!set.is_empty()).then_some(set);
    }

    /// The text of the file.
    pub(super) fn show(self, out: &mut dyn fmt::Write) -> Result<(), Errno> {
        match (self.get(), self) {
            (Some(set), _) => set.iter().try_for_each(|site| writeln!(out, "{}", name(site))),
            (None, Self::Filter) => out.write_str("#### all functions enabled ####\n"),
            (None, Self::Notrace) => out.write_str("#### no functions disabled ####\n"),
        }
        .map_err(|_| Errno::ENOMEM)?;
        if self == Self::Filter { commands::show(out).map_err(|_| Errno::ENOMEM) } else { Ok(()) }
    }

    /// A word of the boot command line.
    pub(super) fn add_word(self, word: &str) -> Result<(), Errno> {
        let mut change =
            Change { list: self, set: self.get().unwrap_or_else(SiteSet::none), begun: Vec::new() };
        change.begun.extend_from_slice(word.as_bytes());
        change.end_of_word()
    }

    /// Begins a change.
    pub(super) fn begin(self, how: How) -> Result<Box<dyn Session>, Errno> {
        let set = if how.truncate { None } else { self.get() };
        Ok(Box::new(Change { list: self, set: set.unwrap_or_else(SiteSet::none), begun: Vec::new() }))
    }
}

/// What the two lists come to.
pub(in crate::trace) fn wanted() -> SiteSet {
    let only = List::Filter.get().unwrap_or_else(SiteSet::all);
    match List::Notrace.get() {
        Some(not) => only.minus(&not),
        None => only,
    }
}

/// The name of a site's function.
pub(in crate::trace) fn name(site: Site) -> &'static str {
    ksyms::by_addr(site.function).map_or("?", |symbol| symbol.name)
}

/// The functions that a pattern, a name or a number means.
///
/// # Errors
/// EINVAL when there is none.
pub(in crate::trace) fn select(pattern: &Pattern<'_>) -> Result<SiteSet, Errno> {
    let text = pattern.text();
    let by_number = || text.parse::<usize>().ok()?.checked_sub(1).and_then(|n| ftrace::sites().nth(n));
    let found = match by_name(text).or_else(by_number) {
        Some(site) => SiteSet::of([site]),
        None if pattern.is_exact() => return Err(Errno::EINVAL),
        None => SiteSet::of(ftrace::sites().filter(|site| pattern.matches(name(*site)))),
    };
    if found.is_empty() { Err(Errno::EINVAL) } else { Ok(found) }
}

/// The site of the function of exactly this name.
fn by_name(name: &str) -> Option<Site> {
    let symbol = ksyms::by_name(name)?;
    ftrace::site_of(symbol.start as usize).filter(|site| site.function as u64 == symbol.start)
}

/// A list while its file is open.
struct Change {
    list: List,
    set: SiteSet,
    /// A word whose end is not written yet.
    begun: Vec<u8>,
}

impl Session for Change {
    fn write(&mut self, data: &[u8]) -> Result<usize, Errno> {
        let blanks = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let blank = if self.begun.is_empty() { blanks(data) } else { 0 };
        let rest = data.get(blank..).unwrap_or_default();
        let len = rest.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(len);
        if self.begun.len() + len > MAX_WORD {
            self.begun.clear();
            return Err(Errno::EINVAL);
        }
        self.begun.try_reserve(len).map_err(|_| Errno::ENOMEM)?;
        self.begun.extend_from_slice(word);
        if !after.is_empty() {
            self.end_of_word()?;
        }
        // What follows is another word, and another write; a line end is not.
        Ok(blank + len + blanks(after))
    }
}

impl Change {
    fn end_of_word(&mut self) -> Result<(), Errno> {
        let word = core::mem::take(&mut self.begun);
        if word.is_empty() {
            return Ok(());
        }
        let word = core::str::from_utf8(&word).map_err(|_| Errno::EINVAL)?;
        if let Some(command) = function_command::parse(word) {
            // Whoever is not traced does nothing, so there is nothing that could be done there.
            return if self.list == List::Filter { commands::run(&command?) } else { Err(Errno::EINVAL) };
        }
        let pattern = Pattern::new(word);
        let found = select(&pattern)?;
        self.set = if pattern.is_negated() { self.set.minus(&found) } else { self.set.union(&found) };
        Ok(())
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let last = self.end_of_word();
        self.list.set(core::mem::replace(&mut self.set, SiteSet::none()));
        // Who closes a file is told nothing; what is wrong with the text is in the log.
        if let Err(e) = super::refilter() {
            log::error!("set_ftrace_filter: {e:?}");
        }
        if let Err(e) = last {
            log::debug!("set_ftrace_filter: the last word: {}", e.strerror());
        }
    }
}
