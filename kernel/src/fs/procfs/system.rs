//! The files of `/proc` about the whole system.

use crate::arch::cpu;
use crate::fs::textfs::{Dir, Pieces, Text};
use crate::fs::vfs;
use crate::irq::softirq::{self, VECTORS};
use crate::irq::{self, Ipi};
use crate::{boot, ksyms, mm, task, time};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt::{self, Write};
use tracecore::errno::Errno;

/// Nanoseconds of a second, and of the clock tick in which `stat` counts (Linux's `USER_HZ` of 100).
const SECOND_NS: u64 = 1_000_000_000;
pub(super) const TICK_NS: u64 = 10_000_000;

/// Fills the directory.
pub(super) fn add(root: &Arc<Dir>) {
    type Show = fn(&mut dyn Write) -> fmt::Result;
    let files: [(&str, Show); 9] = [
        ("cmdline", cmdline),
        ("version", version),
        ("uptime", uptime),
        ("mounts", mounts),
        ("cpuinfo", cpuinfo),
        ("meminfo", meminfo),
        ("stat", stat),
        ("interrupts", interrupts),
        ("softirqs", softirqs),
    ];
    for (name, show) in files {
        let text = Text::shown(0o444, move |out| show(out).map_err(|_| Errno::ENOMEM));
        root.file(name, text.refuse_write(Errno::EIO));
    }
    root.file("kallsyms", Text::new(0o444).seq(|_| Ok(kallsyms())).refuse_write(Errno::EIO));
}

/// All symbols by address, some at a time: there are too many for one text; behind them the compiled programs, as modules
/// are on Linux.
fn kallsyms() -> Pieces {
    const AT_A_TIME: usize = 64;
    let mut symbols = ksyms::table().map(|table| table.iter());
    let mut programs = crate::text::programs::all();
    Box::new(move |out| {
        let mut more = false;
        for symbol in symbols.iter_mut().flatten().take(AT_A_TIME) {
            more = true;
            let _ = writeln!(out, "{:016x} {} {}", symbol.start, char::from(symbol.kind), symbol.name);
        }
        if !more {
            for symbol in programs.by_ref().take(AT_A_TIME).map(ksyms::program) {
                more = true;
                let _ =
                    writeln!(out, "{:016x} {} {}\t[bpf]", symbol.start, char::from(symbol.kind), symbol.name);
            }
        }
        Ok(more)
    })
}

fn cmdline(out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "{}", boot::info().bootargs)
}

/// What `uname -v` and `/proc/version` say after the version.
pub(crate) const BUILD: &str = "#1 SMP PREEMPT";

fn version(out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "Trapline version {} {BUILD}", env!("CARGO_PKG_VERSION"))
}

fn hundredths(ns: u64) -> (u64, u64) {
    (ns / SECOND_NS, ns % SECOND_NS / TICK_NS)
}

fn uptime(out: &mut dyn Write) -> fmt::Result {
    let (up, idle) = (hundredths(time::now_ns()), hundredths(total_idle_ns()));
    writeln!(out, "{}.{:02} {}.{:02}", up.0, up.1, idle.0, idle.1)
}

fn total_idle_ns() -> u64 {
    (0..cpu::online()).map(|n| task::cpu_stats(n).idle_ns).sum()
}

/// One `cpu` line of `stat`: everything that is not idle is the kernel's, since there are no user programs yet.
fn cpu_times(out: &mut dyn Write, name: fmt::Arguments<'_>, up_ns: u64, idle_ns: u64) -> fmt::Result {
    let busy = up_ns.saturating_sub(idle_ns) / TICK_NS;
    writeln!(out, "{name} 0 0 {busy} {} 0 0 0 0 0 0", idle_ns / TICK_NS)
}

fn stat(out: &mut dyn Write) -> fmt::Result {
    let (up, cpus) = (time::now_ns(), cpu::online());
    cpu_times(out, format_args!("cpu "), up * cpus as u64, total_idle_ns())?;
    for n in 0..cpus {
        cpu_times(out, format_args!("cpu{n}"), up, task::cpu_stats(n).idle_ns)?;
    }
    let count = |number| (0..cpus).map(|n| u64::from(irq::count(number, n))).sum::<u64>();
    write!(out, "intr {}", irq::lines().map(|(number, _)| count(number)).sum::<u64>())?;
    let last = irq::lines().map(|(number, _)| number).max().unwrap_or(0);
    (0..=last).try_for_each(|number| write!(out, " {}", count(number)))?;
    writeln!(out, "\nctxt {}", (0..cpus).map(|n| task::cpu_stats(n).switches).sum::<u64>())?;
    writeln!(out, "btime 0")?;
    writeln!(out, "processes {}", task::spawned())?;
    writeln!(out, "procs_running {}", (0..cpus).map(|n| task::cpu_stats(n).load).sum::<u32>())?;
    writeln!(out, "procs_blocked 0")?;
    let softirqs = |vector| (0..cpus).map(|n| u64::from(softirq::count(vector, n))).sum::<u64>();
    write!(out, "softirq {}", (0..VECTORS).map(softirqs).sum::<u64>())?;
    (0..VECTORS).try_for_each(|vector| write!(out, " {}", softirqs(vector)))?;
    writeln!(out)
}

fn mounts(out: &mut dyn Write) -> fmt::Result {
    for mount in vfs::mounts() {
        writeln!(out, "{} {} {} rw 0 0", mount.source, mount.path, mount.kind)?;
    }
    Ok(())
}

fn cpuinfo(out: &mut dyn Write) -> fmt::Result {
    // MIDR_EL1: implementer [31:24], variant [23:20], part [15:4], revision [3:0]. All CPUs of the machines
    // this kernel runs on are of one model.
    let midr = cpu::midr();
    // The generic timer in units of half a MHz: what Linux shows where delays are counted by the timer.
    let half_mhz = cpu::counter_hz() / 5_000;
    for n in 0..cpu::online() {
        writeln!(out, "processor\t: {n}")?;
        writeln!(out, "BogoMIPS\t: {}.{:02}", half_mhz / 100, half_mhz % 100)?;
        writeln!(out, "CPU implementer\t: {:#04x}", midr >> 24 & 0xff)?;
        writeln!(out, "CPU architecture: 8")?;
        writeln!(out, "CPU variant\t: {:#x}", midr >> 20 & 0xf)?;
        writeln!(out, "CPU part\t: {:#05x}", midr >> 4 & 0xfff)?;
        writeln!(out, "CPU revision\t: {}\n", midr & 0xf)?;
    }
    Ok(())
}

fn meminfo(out: &mut dyn Write) -> fmt::Result {
    let mem = mm::stats();
    let lines = [
        ("MemTotal:", mem.total_bytes),
        ("MemFree:", mem.free_bytes),
        ("MemAvailable:", mem.free_bytes),
        ("Buffers:", 0),
        ("Cached:", 0),
        ("SwapTotal:", 0),
        ("SwapFree:", 0),
        ("Slab:", mem.slab_bytes),
        ("KernelStack:", mem.stack_bytes),
    ];
    for (name, bytes) in lines {
        writeln!(out, "{name:<15}{:>9} kB", bytes / 1024)?;
    }
    Ok(())
}

fn softirqs(out: &mut dyn Write) -> fmt::Result {
    let cpus = cpu::online();
    write!(out, "                    ")?;
    (0..cpus).try_for_each(|n| write!(out, "CPU{n:<8}"))?;
    writeln!(out)?;
    for (vector, name) in softirq::NAMES.iter().enumerate() {
        write!(out, "{name:>12}:")?;
        (0..cpus).try_for_each(|n| write!(out, " {:>10}", softirq::count(vector, n)))?;
        writeln!(out)?;
    }
    Ok(())
}

fn interrupts(out: &mut dyn Write) -> fmt::Result {
    let cpus = cpu::online();
    write!(out, "            ")?;
    for n in 0..cpus {
        write!(out, "CPU{n:<8}")?;
    }
    writeln!(out)?;
    let counts = |out: &mut dyn Write, number| -> fmt::Result {
        (0..cpus).try_for_each(|n| write!(out, "{:>10} ", irq::count(number, n)))
    };
    let chip = "GICv3";
    for (number, name) in irq::lines().filter(|(number, _)| *number >= Ipi::ALL.len() as u32) {
        write!(out, "{number:>4}: ")?;
        counts(out, number)?;
        writeln!(out, " {chip:<8} {number:>4} {:<8}  {name}", "Level")?;
    }
    for ipi in Ipi::ALL {
        write!(out, "IPI{}: ", ipi as u32)?;
        counts(out, ipi as u32)?;
        writeln!(out, " {}", ipi.description())?;
    }
    writeln!(out, " Err: {:>10}", irq::spurious())
}
