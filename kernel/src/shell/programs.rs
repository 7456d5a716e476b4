//! The kernel's own programs, beside those of `crates/sh`.

use super::{mount, tour, xray};
use crate::fs::tty;
use crate::{bench, bpf, klog, selftest, trace, workload};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::{self, Write};
use sh::{Ctx, Program};
use tracecore::misses::{Cause, Layer, Table};

/// One line for each: what `help` shows, and what runs.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "bench",
        usage: "[FILTER]",
        help: "count instructions per operation",
        main: |ctx, args| with_streams(ctx, args, bench::run),
    },
    Program {
        name: "bpf",
        usage: "prog|map|link|perf|exec ...",
        help: "load, run and attach BPF programs, use their maps",
        main: bpf::cmd::main,
    },
    Program { name: "misses", usage: "", help: "show what was not recorded, and why", main: misses },
    Program {
        name: "mkfs.fat",
        usage: "DEV",
        help: "make an empty FAT volume of a block device",
        main: mount::mkfs,
    },
    Program {
        name: "mount",
        usage: "[DEV DIR]",
        help: "mount a FAT volume, or show what is mounted",
        main: mount::mount,
    },
    Program {
        name: "selftest",
        usage: "[FILTER]",
        help: "run the in-kernel tests",
        main: |ctx, args| with_streams(ctx, args, selftest::run),
    },
    Program { name: "sync", usage: "", help: "write to the devices what is in memory", main: mount::sync },
    Program {
        name: "tour",
        usage: "",
        help: "show what this kernel can do, in two minutes",
        main: tour::main,
    },
    Program { name: "umount", usage: "DIR", help: "let go of a mounted volume", main: mount::umount },
    Program {
        name: "work",
        usage: "NAME [ARG]... [-n COUNT] [-c CPU]",
        help: "run a workload and print its result",
        main: |ctx, args| with_streams(ctx, args, workload::run),
    },
    Program {
        name: "xray",
        usage: "SYMBOL|ADDR [N]",
        help: "show live code, what was compiled there, and who changed it",
        main: xray::main,
    },
];

/// `misses`: the sums of every layer that can miss or drop.
fn misses(ctx: &mut Ctx, args: &[&str]) -> i32 {
    if !args.is_empty() {
        ctx.eprint("usage: misses\n");
        return 2;
    }
    let mut table = Table::new();
    trace::misses(&mut table);
    crate::ftrace::misses(&mut table);
    crate::bpf::misses(&mut table);
    table.add(Layer::Log, "klog", Cause::Contended, klog::lost());
    table.add(Layer::Tty, "console", Cause::Full, tty::dropped());
    let mut text = Vec::new();
    table.print(&mut text);
    ctx.write(&text);
    0
}

/// What most rooms have for a program: it gets its arguments and two writers, and gives its status.
type Plain = fn(&[&str], &mut dyn Write, &mut dyn Write) -> i32;

/// Runs a `Plain` program on the streams of `ctx`.
fn with_streams(ctx: &mut Ctx, args: &[&str], run: Plain) -> i32 {
    let shared = RefCell::new(ctx);
    run(args, &mut Out(&shared), &mut Err(&shared))
}

struct Out<'a, 'c>(&'a RefCell<&'c mut Ctx>);
struct Err<'a, 'c>(&'a RefCell<&'c mut Ctx>);

impl Write for Out<'_, '_> {
    /// Fails when the program should stop: its reader has gone, or Ctrl-C was pressed.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut ctx = self.0.borrow_mut();
        ctx.print(text);
        if ctx.stopped().is_some() { Result::Err(fmt::Error) } else { Ok(()) }
    }
}

impl Write for Err<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.borrow_mut().eprint(text);
        Ok(())
    }
}
