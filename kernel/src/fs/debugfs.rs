//! `/sys/kernel/debug/kprobes`: which probes there are, and where none may be.
//!
//! | file | a line |
//! |---|---|
//! | `list` | `ffff800080010010  k  work_add+0x8    [DISABLED][BOOSTED]`: address, kind, place, what keeps it from firing, `[BOOSTED]` if one exception does it, `[FTRACE]` if none is needed. The kind is `k`, or `r` for the return of a function |
//! | `enabled` | `1`, or `0` while armed probes are taken out of the text; it can be written |
//! | `slots` | how many slots there are, are taken, and wait for a task that is stopped inside; bytes per probe |
//! | `returns` | how many tasks have a shadow stack, its size, how many functions found one full |
//! | `blacklist` | `0xffff…-0xffff…⇥name`: a function in which probes are refused |

use super::textfs::{Pieces, Text, value};
use super::tracefs::debugfs;
use crate::kprobes::Flavour;
use crate::text::ranges::Region;
use crate::text::slots;
use crate::{kprobes, ksyms, rethook};
use alloc::boxed::Box;
use core::fmt::{self, Write};
use tracecore::errno::Errno;

/// Adds the files.
pub(super) fn add() {
    let dir = debugfs().dir("kprobes", 0o755);
    dir.file("list", Text::shown(0o400, |out| list(out).map_err(|_| Errno::ENOMEM)));
    let enabled = Text::shown(0o600, |out| {
        writeln!(out, "{}", u8::from(kprobes::enabled())).map_err(|_| Errno::ENOMEM)
    });
    dir.file("enabled", enabled.write(|data| switch(data).map(|()| data.len())));
    dir.file("slots", Text::shown(0o400, |out| slots(out).map_err(|_| Errno::ENOMEM)));
    dir.file("returns", Text::shown(0o400, returns));
    dir.file("blacklist", Text::new(0o400).seq(|_| Ok(blacklist())));
}

fn switch(data: &[u8]) -> Result<(), Errno> {
    let on = value::onoff(data)?;
    kprobes::set_enabled(on).map_err(|refusal| {
        log::warn!("kprobes: {refusal}");
        refusal.errno()
    })?;
    rethook::set_enabled(on)
}

fn list(out: &mut dyn Write) -> fmt::Result {
    for probe in kprobes::list() {
        let flavour = match probe.flavour {
            Flavour::Boosted => "[BOOSTED]",
            Flavour::Entry => "[FTRACE]",
            Flavour::Stepped | Flavour::Simulated => "",
        };
        line(out, probe.addr, if probe.is_return { 'r' } else { 'k' }, probe.armed, flavour)?;
    }
    rethook::list().iter().try_for_each(|probe| line(out, probe.addr, 'r', probe.armed, "[FTRACE]"))
}

/// A line of `list`.
fn line(out: &mut dyn Write, addr: usize, kind: char, armed: bool, flavour: &str) -> fmt::Result {
    write!(out, "{addr:016x}  {kind}  ")?;
    match ksyms::by_addr(addr) {
        Some(symbol) => write!(out, "{}+{:#x}", symbol.name, addr - symbol.start as usize)?,
        None => write!(out, "{addr:#x}")?,
    }
    writeln!(out, "    {}{flavour}", if armed { "" } else { "[DISABLED]" })
}

fn slots(out: &mut dyn Write) -> fmt::Result {
    let usage = slots::usage();
    writeln!(out, "slots: {}", usage.all)?;
    writeln!(out, "taken: {}", usage.taken)?;
    writeln!(out, "limbo: {}", usage.limbo)?;
    writeln!(out, "bytes per probe: {}", kprobes::BYTES_PER_PROBE)
}

fn returns(out: &mut dyn Write) -> Result<(), Errno> {
    let rethook::Usage { bytes, exhausted } = rethook::usage()?;
    let text = format_args!(
        "shadow stacks: {}\nbytes per task: {}\nexhausted: {exhausted}\n",
        bytes / rethook::SHADOW_BYTES,
        rethook::SHADOW_BYTES
    );
    out.write_fmt(text).map_err(|_| Errno::ENOMEM)
}

fn blacklist() -> Pieces {
    let refused = Region::REFUSED.map(|(region, _)| region.range());
    let mut symbols = ksyms::table().map(|table| table.iter());
    Box::new(move |out| {
        let inside = |addr: u64| refused.iter().any(|range| range.contains(&(addr as usize)));
        let Some(symbol) = symbols.as_mut().and_then(|s| s.find(|s| s.is_text() && inside(s.start))) else {
            return Ok(false);
        };
        let end = symbol.start + symbol.size;
        writeln!(out, "{:#018x}-{end:#018x}\t{}", symbol.start, symbol.name).map_err(|_| Errno::ENOMEM)?;
        Ok(true)
    })
}
