//! Which calls are recorded, of those that `set_ftrace_filter` lets through.
//!
//! | file | |
//! |---|---|
//! | `set_graph_function` | only these, and what they call |
//! | `set_graph_notrace` | not these, nor what they call |
//! | `set_ftrace_pid`, `set_ftrace_notrace_pid` | calls of these tasks, or not |
//! | `max_graph_depth` | calls with fewer recorded ones around them; 0: all |
//!
//! Every call is asked about, so what is to be asked is one word, [`Wants`], which is empty most of the time: one load and one
//! branch. The sets of functions are bitmaps over the text, a bit for each 8 bytes, since sites are aligned to those.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::glob::Pattern;

use super::options::{ARGS, IRQS, RETADDR, SLEEP_TIME};
use crate::fs::textfs::{Session, Text, value};
use crate::fs::tracefs;
use crate::fs::vfs::How;
use crate::ftrace::SiteSet;
use crate::sync::{Pinned, Published};
use crate::task::Mutex;
use crate::text::ranges::Region;
use crate::trace::functions;
use crate::trace::pids::FUNCTIONS;

/// What is to be asked of each call, or done for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Wants(u32);

impl Wants {
    /// Is it one of the functions, or called by one?
    pub(super) const ONLY: u32 = 1 << 0;
    /// Is it one of those that are left out?
    pub(super) const NOT: u32 = 1 << 1;
    /// Is it too deep?
    pub(super) const DEPTH: u32 = 1 << 2;
    /// Is an interrupt being handled?
    pub(super) const NO_IRQS: u32 = 1 << 3;
    /// Record registers of arguments.
    pub(super) const ARGS: u32 = 1 << 4;
    /// Record the return address.
    pub(super) const RETADDR: u32 = 1 << 5;
    /// Count the time on a CPU alone.
    pub(super) const NO_SLEEP: u32 = 1 << 6;
    /// Is it a call of one of the tasks?
    pub(super) const PIDS: u32 = 1 << 7;

    /// As it is now.
    #[inline(always)]
    pub(super) fn now() -> Self {
        Self(WANTS.load(Ordering::Relaxed))
    }

    /// Is there nothing to be asked?
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        self.0 == 0
    }

    /// Is this to be asked?
    #[inline(always)]
    pub(super) fn has(self, what: u32) -> bool {
        self.0 & what != 0
    }
}

static WANTS: AtomicU32 = AtomicU32::new(0);
/// `max_graph_depth`.
static MAX_DEPTH: AtomicU64 = AtomicU64::new(0);

/// The deepest that may be asked for.
const MAX_MAX_DEPTH: u64 = u32::MAX as u64;

/// Functions, as a call is looked up.
pub(super) struct Functions(Vec<u64>);

/// Bytes that have one bit.
const GRAIN: usize = 8;

impl Functions {
    fn new(sites: &SiteSet) -> Result<Box<Self>, Errno> {
        let text = Region::Text.range();
        let words = text.len().div_ceil(64 * GRAIN);
        let mut bits = Vec::new();
        bits.try_reserve_exact(words).map_err(|_| Errno::ENOMEM)?;
        bits.resize(words, 0_u64);
        for site in sites.iter() {
            let (word, bit) = place(site.function, text.start);
            if let Some(word) = bits.get_mut(word) {
                *word |= bit;
            }
        }
        Ok(Box::new(Self(bits)))
    }

    /// Is the function among them?
    pub(super) fn has(&self, function: u64) -> bool {
        let (word, bit) = place(function as usize, Region::Text.range().start);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn place(function: usize, start: usize) -> (usize, u64) {
    let at = function.wrapping_sub(start) / GRAIN;
    (at / 64, 1 << (at % 64))
}

/// One of the two files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// `set_graph_function`.
    Only,
    /// `set_graph_notrace`.
    Not,
}

static SETS: Mutex<[Option<SiteSet>; 2]> = Mutex::new([None, None]);
static ONLY: Published<Functions> = Published::empty();
static NOT: Published<Functions> = Published::empty();

impl List {
    fn published(self) -> &'static Published<Functions> {
        match self {
            Self::Only => &ONLY,
            Self::Not => &NOT,
        }
    }

    /// Is the function in the list? A list that has just been emptied has none.
    #[inline(always)]
    pub(super) fn has(self, function: u64, pin: &impl Pinned) -> bool {
        self.published().read(pin).is_some_and(|functions| functions.has(function))
    }

    fn get(self) -> Option<SiteSet> {
        SETS.lock()[self as usize].clone()
    }

    fn show(self, out: &mut dyn fmt::Write) -> Result<(), Errno> {
        match (self.get(), self) {
            (Some(set), _) => set.iter().try_for_each(|site| writeln!(out, "{}", functions::name(site))),
            (None, Self::Only) => out.write_str("#### all functions enabled ####\n"),
            (None, Self::Not) => out.write_str("#### no functions disabled ####\n"),
        }
        .map_err(|_| Errno::ENOMEM)
    }

    fn begin(self, how: How) -> Result<Box<dyn Session>, Errno> {
        let set = if how.truncate { None } else { self.get() };
        Ok(Box::new(Change { list: self, set: set.unwrap_or_else(SiteSet::none) }))
    }
}

/// A list while its file is open; it changes when that is closed.
struct Change {
    list: List,
    set: SiteSet,
}

impl Session for Change {
    fn write(&mut self, data: &[u8]) -> Result<usize, Errno> {
        let words = core::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        for word in words.split_ascii_whitespace() {
            let pattern = Pattern::new(word);
            let found = functions::select(&pattern)?;
            self.set = if pattern.is_negated() { self.set.minus(&found) } else { self.set.union(&found) };
        }
        Ok(data.len())
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let set = core::mem::replace(&mut self.set, SiteSet::none());
        let set = (!set.is_empty()).then_some(set);
        // Who closes a file is told nothing.
        match set.as_ref().map(Functions::new).transpose() {
            Ok(functions) => {
                SETS.lock()[self.list as usize] = set;
                self.list.published().publish(functions);
                rechoose();
            }
            Err(e) => log::error!("set_graph_function: {}", e.strerror()),
        }
    }
}

/// Makes [`Wants`] what files and options say.
fn rechoose() {
    let sets = SETS.lock();
    let wants = [
        (sets[List::Only as usize].is_some(), Wants::ONLY),
        (sets[List::Not as usize].is_some(), Wants::NOT),
        (MAX_DEPTH.load(Ordering::Relaxed) != 0, Wants::DEPTH),
        (!IRQS.is_on(), Wants::NO_IRQS),
        (ARGS.is_on(), Wants::ARGS),
        (RETADDR.is_on(), Wants::RETADDR),
        (!SLEEP_TIME.is_on(), Wants::NO_SLEEP),
        (FUNCTIONS.are_there(), Wants::PIDS),
    ];
    let all = wants.iter().filter(|(on, _)| *on).fold(0, |all, (_, want)| all | want);
    WANTS.store(all, Ordering::Relaxed);
}

/// An option has changed, or a list of tasks.
pub(in crate::trace) fn choose() -> Result<(), Errno> {
    rechoose();
    Ok(())
}

/// Is a call at this depth too deep?
pub(super) fn is_too_deep(depth: u64) -> bool {
    let max = MAX_DEPTH.load(Ordering::Relaxed);
    max != 0 && depth >= max
}

pub(super) fn init() {
    let root = tracefs::tracefs();
    for (file, list) in [("set_graph_function", List::Only), ("set_graph_notrace", List::Not)] {
        root.file(file, Text::new(0o640).show(move |out| list.show(out)).session(move |how| list.begin(how)));
    }
    root.file(
        "max_graph_depth",
        Text::new(0o640)
            .show(|out| writeln!(out, "{}", MAX_DEPTH.load(Ordering::Relaxed)).map_err(|_| Errno::ENOMEM))
            .write(|data| {
                let depth = value::number(data)?;
                if depth > MAX_MAX_DEPTH {
                    return Err(Errno::EINVAL);
                }
                MAX_DEPTH.store(depth, Ordering::Relaxed);
                rechoose();
                Ok(data.len())
            }),
    );
}
