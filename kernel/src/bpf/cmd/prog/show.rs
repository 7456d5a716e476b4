//! `bpf prog list` and `show`.
//!
//! ```text
//!   7: kprobe  name entered  tag d7a90d010e27f7a0  gpl run_time_ns 1200 run_cnt 3 recursion_misses 1
//!         loaded_at 2026-11-20T19:35:10+0000  uid 0
//!         xlated 120B  jited 152B  memlock 4096B  map_ids 3,4
//! ```
//!
//! The last three of the first line are there when runs are counted, and when some were missed.

use alloc::format;
use alloc::string::String;

use sh::Ctx;

use super::{Done, Words, tag};
use crate::bpf::jit::Image;
use crate::bpf::prog::{self, Engine, Prog};

/// Where a program's memory comes from, as Linux counts it.
const PAGE: usize = 4096;

pub(super) fn show(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let progs = if words.peek().is_some() { words.progs()? } else { prog::all() };
    words.end()?;
    for prog in progs {
        let text = text(ctx, &prog);
        ctx.print(&text);
    }
    Ok(())
}

/// A program in three lines.
fn text(ctx: &Ctx, prog: &Prog) -> String {
    let parts = prog.parts();
    let counts = prog.counts();
    let mut text = format!("{}: {}", prog.id(), parts.attach.prog_type().name());
    let mut add = |more: String| text.push_str(&more);
    if !parts.name.is_empty() {
        add(format!("  name {}", parts.name));
    }
    add(format!("  tag {}{}", tag(prog), if parts.gpl { "  gpl" } else { "" }));
    if counts.run_cnt > 0 {
        add(format!(" run_time_ns {} run_cnt {}", counts.run_time_ns, counts.run_cnt));
    }
    if counts.recursion_misses > 0 {
        add(format!(" recursion_misses {}", counts.recursion_misses));
    }
    let since_ns = ctx.sys.monotonic_ns().saturating_sub(prog.loaded_ns());
    let loaded_s = ctx.sys.realtime_ns().saturating_sub(since_ns) / 1_000_000_000;
    add(format!("\n\tloaded_at {}+0000  uid 0", sh::utc(loaded_s)));
    let xlated = parts.program.slots().len() * 8;
    add(format!("\n\txlated {xlated}B  "));
    match &parts.engine {
        Engine::Sandbox => add("not jited".into()),
        Engine::Code(_, image) => {
            let words = image.downcast_ref::<Image>().map_or(0, |image| image.compiled().words.len());
            add(format!("jited {}B", words * 4));
        }
    }
    add(format!("  memlock {}B", xlated.next_multiple_of(PAGE)));
    for (n, map) in parts.maps.iter().enumerate() {
        let before = if n == 0 { "  map_ids " } else { "," };
        add(format!("{before}{}", map.id()));
    }
    text.push('\n');
    text
}
