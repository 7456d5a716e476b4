//! Trapline: a bare-metal arm64 kernel you can probe.
#![no_std]
#![no_main]
#![feature(patchable_function_entry)]

extern crate alloc;

#[macro_use]
mod noinstr;

// F1: the machine.
#[expect(unsafe_code, reason = "registers, page tables, devices")]
mod arch;
#[expect(unsafe_code, reason = "from the boot loader to Rust")]
mod boot;
#[expect(unsafe_code, reason = "vectors and the slots behind them")]
mod exception;

// F2: what the services are built with.
#[expect(unsafe_code, reason = "reads the table of branches that the linker gathered")]
mod jump_label;
#[expect(unsafe_code, reason = "locks, per-CPU data, published pointers")]
mod sync;
#[expect(unsafe_code, reason = "the only writer of kernel text")]
mod text;
#[expect(unsafe_code, reason = "functions behind untyped pointers, a list that the linker gathered")]
mod tracepoint;

// F3: services.
mod block;
#[expect(unsafe_code, reason = "calls handlers through untyped slots")]
mod irq;
mod klog;
#[expect(unsafe_code, reason = "reads the symbol table where the loader put it")]
mod ksyms;
mod ktypes;
#[expect(unsafe_code, reason = "hands out memory")]
mod mm;
mod oops;
#[expect(unsafe_code, reason = "stacks, lists through tasks, the change of stacks")]
mod task;
#[expect(unsafe_code, reason = "a heap through timers")]
mod time;
mod unwind;

// F4: hooks.
#[expect(unsafe_code, reason = "the trampoline, the table of sites, literals that are pointers")]
mod ftrace;
#[expect(unsafe_code, reason = "a table read without a lock, saved registers changed at a hit")]
mod kprobes;
#[expect(unsafe_code, reason = "a stack of its own per task, an assembly trampoline")]
mod rethook;

// F5: listeners.
mod bpf;
mod trace;

// F6: surface.
#[expect(unsafe_code, reason = "exceptions on purpose, an opaque loop")]
mod bench;
mod fs;
#[expect(unsafe_code, reason = "does what must fault")]
mod provoke;
mod selftest;
mod shell;
#[expect(unsafe_code, reason = "C functions with symbols, hand-written instructions, raw arguments")]
mod workload;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    oops::panicked(info)
}

/// The boot CPU, with its memory map and boot information in place: the rooms of the house, in order.
fn kernel_main() -> ! {
    let info = boot::info();
    // The counter's frequency; then lines of the log have times.
    time::init();
    klog::init();
    log::info!("Trapline {} on {}, entered at EL{}", env!("CARGO_PKG_VERSION"), info.model, info.boot_el);
    // Pages, heap.
    mm::init(info.mem());
    // Interrupt controller, IPIs.
    irq::init().expect("an interrupt controller");
    // The end, if it should come to that.
    oops::init().expect("a free die slot");
    // The scheduler; from here on this is the idle task of CPU 0.
    task::init().expect("memory for the first task");
    // Timers of this CPU.
    time::init_cpu(info.timer_irq).expect("a timer interrupt");
    arch::daif::unmask_debug_and_serror();
    // Everything else is done by a task.
    task::spawn("init", task::Prio::NORMAL, alloc::boxed::Box::new(init)).expect("memory for the first task");
    task::cpu_start()
}

/// The first task: what needs a scheduler.
fn init() {
    // Workers of the kernel's own.
    task::start_workers().expect("memory for workers");
    // Names of functions.
    ksyms::init();
    // Branches on keys that start on.
    jump_label::init().expect("sites as the compiler makes them");
    // Every function's entry, ready to be traced.
    ftrace::init().expect("sites as the compiler makes them");
    // Events of faults; before those who handle them.
    mm::watch_faults().expect("a free fault slot");
    // Probes. Their fault hook comes before the next: it puts the PC back on a word that faulted in its slot.
    kprobes::init().expect("free breakpoint slots");
    // Returns of functions.
    rethook::init().expect("free slots");
    arch::probe_read::init().expect("a free fault slot");
    // The other CPUs, each from `secondary_main`.
    let cpus = boot::start_cpus(task::prepare_cpu);
    log::info!("smp: {cpus} CPUs");
    // Who runs softirqs when there are too many.
    task::ksoftirqd::start().expect("memory for workers");
    // Block devices, if there are any.
    block::init().expect("a free softirq");
    // Files: the initramfs at `/`, and the trees in it; keys from the console.
    fs::init().expect("memory for the file systems");
    // Rings, events, and their files.
    trace::init().expect("memory for the trace rings");
    // Compiled programs: loads that may fault.
    bpf::jit::init().expect("a free fault slot");
    // Patches to try.
    workload::init();
    // Crashes on purpose.
    provoke::init();
    // The shell.
    shell::start().expect("memory for the shell");
}

/// A CPU that `boot::start_cpus` started: its share of each room.
fn secondary_main(number: usize) -> ! {
    irq::init_cpu();
    if let Err(error) = time::init_cpu(boot::info().timer_irq) {
        log::error!("no timer interrupt on this CPU: {error:?}");
    }
    arch::daif::unmask_debug_and_serror();
    // Whoever is started next for every CPU finds this one: `start_cpus` waits for the second line.
    sync::mark_online(number);
    arch::cpu::set_online();
    task::cpu_start()
}
