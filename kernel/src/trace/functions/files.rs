//! The files of functions.
//!
//! | file | what |
//! |---|---|
//! | `available_filter_functions` | every function that can be traced, by its name |
//! | `available_filter_functions_addrs` | the same with the address of its branch |
//! | `enabled_functions` | those that are traced now, by how many and by whom |
//! | `touched_functions` | those that ever were |
//! | `set_ftrace_filter`, `set_ftrace_notrace` | which the tracer traces |

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use tracecore::errno::Errno;

use super::filter::{List, name};
use crate::fs::textfs::{Pieces, Text};
use crate::fs::tracefs;
use crate::ftrace::{self, Site, SiteSet};
use crate::ksyms;

/// Functions that one piece of a listing has.
const BATCH: usize = 64;

pub(super) fn init() {
    let root = tracefs::tracefs();
    let list = |show: fn(Site, &mut dyn Write) -> core::fmt::Result, sites: fn() -> SiteSet| {
        Text::new(0o440).seq(move |_| Ok(listing(sites(), show)))
    };
    root.file("available_filter_functions", list(|site, out| writeln!(out, "{}", name(site)), SiteSet::all));
    root.file(
        "available_filter_functions_addrs",
        list(|site, out| writeln!(out, "{:016x} {}", site.branch_at(), name(site)), SiteSet::all),
    );
    root.file("enabled_functions", list(with_listeners, || ftrace::touched(false)));
    root.file("touched_functions", list(with_listeners, || ftrace::touched(true)));
    for (file, which) in [("set_ftrace_filter", List::Filter), ("set_ftrace_notrace", List::Notrace)] {
        root.file(
            file,
            Text::new(0o640).show(move |out| which.show(out)).session(move |how| which.begin(how)),
        );
    }
}

/// The columns of Linux: how many, then flags (`I` may redirect it, `D` a direct call, `O` its literal names the one ops),
/// then who, and where the direct call leads.
fn with_listeners(site: Site, out: &mut dyn Write) -> core::fmt::Result {
    let ops = ftrace::listeners(site);
    let redirected = if ops.iter().any(|ops| ops.redirects()) { 'I' } else { ' ' };
    let own = if ops.len() == 1 { 'O' } else { ' ' };
    let direct = if ops.iter().any(|ops| ops.trampoline().is_some()) { 'D' } else { ' ' };
    write!(out, "{} ({})   {redirected} {direct} {own}   ", name(site), ops.len())?;
    for ops in ops {
        match ops.trampoline() {
            None => write!(out, "\tops: {}", ops.name())?,
            Some(at) => write!(out, "\tdirect({})-->{}", ops.name(), symbol(at))?,
        }
    }
    out.write_char('\n')
}

/// An address as a function's name and how far behind it.
fn symbol(at: usize) -> String {
    ksyms::by_addr(at).map_or_else(
        || format!("{at:#x}"),
        |symbol| format!("{}+{:#x}", symbol.name, at as u64 - symbol.start),
    )
}

fn listing(sites: SiteSet, show: fn(Site, &mut dyn Write) -> core::fmt::Result) -> Pieces {
    let mut next = 0;
    Box::new(move |out| {
        let before = next;
        for site in sites.iter().skip(before).take(BATCH) {
            show(site, out).map_err(|_| Errno::ENOMEM)?;
            next += 1;
        }
        Ok(next > before)
    })
}
