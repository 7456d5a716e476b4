//! `bpf stats`: how many programs, maps and links there are and were, and whether runs are counted.
//!
//! What is loaded less what is freed is what is there, a quiet point after the last one let go: nothing leaks.

use alloc::format;

use sh::Ctx;

use crate::bpf::{link, maps, prog};

/// `bpf stats [on|off]`.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let on = match args {
        [] => None,
        ["on"] => Some(true),
        ["off"] => Some(false),
        _ => {
            ctx.eprint("usage: bpf stats [on|off]\n");
            return 255;
        }
    };
    if let Some(on) = on {
        let done = if on { prog::STATS.enable() } else { prog::STATS.disable() };
        if let Err(refusal) = done {
            ctx.complain(format_args!("stats: {}", refusal.errno().strerror()));
            return 1;
        }
        return 0;
    }
    let (loaded, freed) = prog::totals();
    ctx.print(&format!("programs: {} there, {loaded} loaded, {freed} freed\n", prog::all().len()));
    let (made, gone) = link::totals();
    ctx.print(&format!("links: {} there, {made} made, {gone} gone\n", link::all().len()));
    ctx.print(&format!("maps: {} there, {} bytes\n", maps::all().len(), maps::charged()));
    ctx.print(&format!("runs are counted: {}\n", if prog::STATS.is_enabled() { "yes" } else { "no" }));
    0
}
