//! `bpf link` and `bpf perf`: what is attached where.
//!
//! | | |
//! |---|---|
//! | `bpf link list`, `bpf link show [LINK]` | links, as bpftool prints them |
//! | `bpf link detach LINK` | the hook calls no more, and the names of the link are let go |
//! | `bpf link pin LINK PATH` | has a name under `/sys/fs/bpf` keep it |
//! | `bpf link replace LINK PROG` | has the hook run another program |
//! | `bpf perf [list]` | a line for each place: which link and program, how hits come |
//!
//! LINK is `id N`, `pinned PATH`, or a number or a name alone.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::kind::Attach;
use sh::Ctx;

use super::attach::find_prog;
use crate::bpf::link::{self, Link, Shown, path_of};
use crate::ksyms;

/// The words behind `bpf link`.
pub(super) const USAGE: &str =
    "list | show [LINK] | detach LINK | pin LINK PATH | replace LINK PROG   LINK: id N, pinned PATH, N, NAME";

/// `bpf link …`.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let done = match args {
        ["list" | "show" | "l" | "s"] | [] => {
            link::all().iter().for_each(|link| show(ctx, link));
            Ok(())
        }
        ["list" | "show" | "l" | "s", rest @ ..] => with(rest, |link, rest| {
            end(rest)?;
            show(ctx, link);
            Ok(())
        }),
        ["detach" | "d", rest @ ..] => with(rest, |link, rest| {
            end(rest)?;
            if link::release(link) { Ok(()) } else { Err("the link is detached".into()) }
        }),
        ["pin", rest @ ..] => with(rest, |link, rest| match rest {
            [path] => link.pin(&path_of(path)).map_err(|e| format!("{path}: {}", e.strerror())),
            _ => Err("pin where?".into()),
        }),
        ["replace", rest @ ..] => with(rest, |link, rest| {
            let (prog, rest) = find_prog(rest)?;
            end(rest)?;
            link.replace(&prog).map(drop).map_err(|e| e.to_string())
        }),
        _ => {
            ctx.eprint(&format!("usage: bpf link {USAGE}\n"));
            return 2;
        }
    };
    super::attach::status(ctx, "link", done)
}

fn end(rest: &[&str]) -> Result<(), String> {
    rest.first().map_or(Ok(()), |word| Err(format!("`{word}`: what is that?")))
}

/// Does something with a link and the words behind it.
fn with(args: &[&str], f: impl FnOnce(&Arc<Link>, &[&str]) -> Result<(), String>) -> Result<(), String> {
    let (word, name, rest) = match args {
        ["id", id, rest @ ..] => ("id", *id, rest),
        ["pinned", path, rest @ ..] => ("pinned", *path, rest),
        [name, rest @ ..] => ("", *name, rest),
        [] => return Err("which link?".into()),
    };
    let by_id = || name.parse().ok().and_then(link::by_id);
    let by_name = || link::pinned(name);
    let found = match word {
        "id" => by_id(),
        "pinned" => by_name(),
        _ => by_name().or_else(by_id),
    };
    match found {
        Some(link) => f(&link, rest),
        None => Err(format!("there is no link `{name}`")),
    }
}

/// A place as the kernel's symbols have it.
fn place(addr: u64) -> String {
    match ksyms::by_addr(addr as usize) {
        Some(symbol) if symbol.start == addr => symbol.name.into(),
        Some(symbol) => format!("{}+{:#x}", symbol.name, addr - symbol.start),
        None => format!("{addr:#x}"),
    }
}

/// What bpftool calls the type of a link.
fn type_name(attach: Attach) -> &'static str {
    match attach {
        Attach::KprobeMulti | Attach::KretprobeMulti => "kprobe_multi",
        Attach::FprobeEntry | Attach::FprobeExit => "fprobe",
        Attach::RawTracepoint => "raw_tracepoint",
        Attach::TpBtf | Attach::Fentry | Attach::Fexit | Attach::FmodRet => "tracing",
        _ => "perf_event",
    }
}

/// The second line of a link.
fn details(link: &Link, shown: &Shown, missed: u64) -> String {
    let missed = if missed > 0 { format!("missed {missed}  ") } else { String::new() };
    let one = shown.at.first().copied();
    let cookie = |cookie: u64| if cookie > 0 { format!("cookie {cookie}  ") } else { String::new() };
    let (target, attach) = (link.target(), link.attach());
    let event = target.rsplit_once(['/', ':']).map_or(target, |(_, name)| name);
    match attach {
        Attach::KprobeMulti | Attach::KretprobeMulti | Attach::FprobeEntry | Attach::FprobeExit => {
            let mut text = format!("{}  func_cnt {}  {missed}", attach.name(), shown.places);
            if !shown.at.is_empty() {
                text += &format!("\n\t{:<16} {:<16} {}", "addr", "cookie", "func");
            }
            for (addr, cookie) in &shown.at {
                text += &format!("\n\t{addr:016x} {cookie:<16x} {}", place(*addr));
            }
            text
        }
        Attach::Kprobe | Attach::Kretprobe => {
            let at = one.map_or(target.into(), |(addr, _)| format!("{addr:x} {}", place(addr)));
            format!("{} {at}  {missed}{}", attach.name(), cookie(one.map_or(0, |(_, cookie)| cookie)))
        }
        Attach::RawTracepoint => format!("tp '{event}'  {missed}"),
        Attach::Tracepoint => format!("tracepoint {event}  {missed}"),
        Attach::PerfEvent => format!("event software:cpu-clock  {missed}"),
        _ => {
            let at = one.map_or(event.into(), |(addr, _)| place(addr));
            format!("prog_type tracing  attach_type {}\n\ttarget {at}  {missed}", trace_name(attach))
        }
    }
}

/// What bpftool calls a way to attach.
fn trace_name(attach: Attach) -> &'static str {
    match attach {
        Attach::Fentry => "trace_fentry",
        Attach::Fexit => "trace_fexit",
        Attach::FmodRet => "modify_return",
        _ => "trace_raw_tp",
    }
}

fn show(ctx: &mut Ctx, link: &Arc<Link>) {
    let shown = link.shown();
    let missed = shown.missed.iter().map(|(_, count)| count).sum();
    let prog = shown.prog.map_or(String::new(), |prog| format!("prog {prog}  "));
    let mut text =
        format!("{}: {}  {prog}\n\t{}", link.id(), type_name(link.attach()), details(link, &shown, missed));
    if shown.prog.is_none() {
        text += "detached  ";
    }
    for path in link.paths() {
        text += &format!("\n\tpinned {path}");
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    ctx.print(&format!("{}\n", lines.join("\n")));
}

/// `bpf perf`: a line for each place.
pub(super) fn perf(ctx: &mut Ctx, args: &[&str]) -> i32 {
    if !matches!(args, [] | ["list" | "show"]) {
        ctx.eprint("usage: bpf perf [list]\n");
        return 2;
    }
    for link in link::all() {
        let shown = link.shown();
        let Some(prog) = shown.prog else { continue };
        let head = format!("link {}: prog_id {prog}  {}  {}", link.id(), link.attach().name(), shown.flavour);
        if shown.at.is_empty() {
            ctx.print(&format!("{head}  {}\n", link.target()));
        }
        for (addr, _) in &shown.at {
            ctx.print(&format!("{head}  {}\n", place(*addr)));
        }
    }
    0
}
