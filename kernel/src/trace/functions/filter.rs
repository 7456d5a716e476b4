//! Which functions: `set_ftrace_filter` and `set_ftrace_notrace`.
//!
//! ```text
//!   work_*        adds functions by name or glob          a name alone is looked up; a glob walks all names
//!   !work_add     takes them out
//!   12            adds the twelfth of available_filter_functions
//! ```
//!
//! A write takes one word, as on Linux. Words are collected while the file is open, and the filter changes when it is
//! closed: emptying and refilling it is one change of text.

use alloc::boxed::Box;
use core::fmt;

use tracecore::errno::Errno;
use tracecore::glob::Pattern;

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
        .map_err(|_| Errno::ENOMEM)
    }

    /// Begins a change.
    pub(super) fn begin(self, how: How) -> Result<Box<dyn Session>, Errno> {
        let set = if how.truncate { None } else { self.get() };
        Ok(Box::new(Change { list: self, set: set.unwrap_or_else(SiteSet::none) }))
    }
}

/// What the two lists come to.
pub(super) fn wanted() -> SiteSet {
    let only = List::Filter.get().unwrap_or_else(SiteSet::all);
    match List::Notrace.get() {
        Some(not) => only.minus(&not),
        None => only,
    }
}

/// The name of a site's function.
pub(super) fn name(site: Site) -> &'static str {
    ksyms::by_addr(site.function).map_or("?", |symbol| symbol.name)
}

/// A list while its file is open.
struct Change {
    list: List,
    set: SiteSet,
}

impl Session for Change {
    fn write(&mut self, data: &[u8]) -> Result<usize, Errno> {
        let blank = data.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let rest = data.get(blank..).unwrap_or_default();
        let len = rest.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        if len > MAX_WORD {
            return Err(Errno::EINVAL);
        }
        if len > 0 {
            self.word(core::str::from_utf8(word).map_err(|_| Errno::EINVAL)?)?;
        }
        // What follows is another word, and another write; a line end is not.
        let after = rest.iter().skip(len).take_while(|byte| byte.is_ascii_whitespace()).count();
        Ok(blank + len + after)
    }
}

impl Change {
    fn word(&mut self, word: &str) -> Result<(), Errno> {
        let pattern = Pattern::new(word);
        let text = pattern.text();
        if text.is_empty() {
            return Err(Errno::EINVAL);
        }
        if let Ok(number) = text.parse::<usize>() {
            if let Some(site) = number.checked_sub(1).and_then(|n| ftrace::sites().nth(n)) {
                self.put(site, pattern.is_negated());
            }
            return Ok(());
        }
        if let Some(site) = by_name(text) {
            self.put(site, pattern.is_negated());
        } else if !pattern.is_exact() {
            for site in ftrace::sites() {
                if pattern.matches(name(site)) {
                    self.put(site, pattern.is_negated());
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, site: Site, out: bool) {
        if out {
            self.set.remove(site);
        } else {
            self.set.insert(site);
        }
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.list.set(core::mem::replace(&mut self.set, SiteSet::none()));
        // Who closes a file is told nothing; what is wrong with the text is in the log.
        if let Err(e) = super::refilter() {
            log::error!("set_ftrace_filter: {e:?}");
        }
    }
}

/// The site of the function of exactly this name.
fn by_name(name: &str) -> Option<Site> {
    let symbol = ksyms::by_name(name)?;
    ftrace::site_of(symbol.start as usize).filter(|site| site.function as u64 == symbol.start)
}
