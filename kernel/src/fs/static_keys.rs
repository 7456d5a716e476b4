//! `/sys/kernel/debug/static_keys`: every key that code branches on, and where.
//!
//! ```text
//!   work_key             off 0 by-hand                       name, state, how many want it on
//!   \tffff800080012345 work_key+0x8 unlikely nop             a site: address, place, hint, what is there now
//! ```
//!
//! A line `NAME 0` or `NAME 1` flips a key that says `by-hand`. For others it is EPERM: a room counts on them.

use super::textfs::Text;
use super::tracefs::debugfs;
use crate::{jump_label, ksyms, text};
use a64::encode;
use core::fmt::{self, Write};
use tracecore::errno::Errno;

/// Adds the file.
pub(super) fn add() {
    let keys = Text::shown(0o600, |out| list(out).map_err(|_| Errno::ENOMEM));
    debugfs().file("static_keys", keys.commands(flip));
}

fn flip(line: &str) -> Result<(), Errno> {
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(value), None) = (words.next(), words.next(), words.next()) else {
        return Err(Errno::EINVAL);
    };
    let on = match value {
        "0" => false,
        "1" => true,
        _ => return Err(Errno::EINVAL),
    };
    let key = jump_label::keys().find(|key| key.name() == name).ok_or(Errno::ENOENT)?;
    if !key.is_by_hand() {
        return Err(Errno::EPERM);
    }
    let flipped = if on { key.enable() } else { key.disable() };
    flipped.map_err(|refusal| {
        log::warn!("static key {name}: {refusal}");
        refusal.errno()
    })
}

fn list(out: &mut dyn Write) -> fmt::Result {
    for key in jump_label::keys() {
        let state = if key.is_enabled() { "on" } else { "off" };
        let hand = if key.is_by_hand() { " by-hand" } else { "" };
        writeln!(out, "{:<20} {state} {}{hand}", key.name(), key.count())?;
        for site in key.sites() {
            write!(out, "\t{:016x} ", site.code)?;
            match ksyms::by_addr(site.code) {
                Some(symbol) => write!(out, "{}+{:#x}", symbol.name, site.code - symbol.start as usize)?,
                None => write!(out, "{:#x}", site.code)?,
            }
            let hint = if site.likely { "likely" } else { "unlikely" };
            let now = if text::read_word(site.code) == Some(encode::nop()) { "nop" } else { "b" };
            writeln!(out, " {hint} {now}")?;
        }
    }
    Ok(())
}
