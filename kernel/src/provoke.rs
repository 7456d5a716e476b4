//! Crashes on purpose: `/sys/kernel/debug/provoke-crash/DIRECT`, with the names that Linux's LKDTM has for them.
//!
//! They prove what the memory map promises (text and constants cannot be written, data cannot be executed, null is not
//! mapped, a stack that is too deep is caught) and show what a report looks like. Each ends the machine.

use tracecore::errno::Errno;

use alloc::sync::Arc;

use crate::exception::PtRegs;
use crate::fs::textfs::Text;
use crate::fs::tracefs;
use crate::kprobes::{Flow, Handler, Kprobe};
use crate::sync::CpuPin;

/// A crash: its name and what provokes it.
const CRASHES: [(&str, fn()); 8] = [
    ("PANIC", || panic!("dumptest")),
    ("EXCEPTION", access_null),
    ("EXHAUST_STACK", || {
        exhaust_stack(0);
    }),
    ("EXEC_DATA", exec_data),
    ("EXEC_NULL", exec_null),
    ("WRITE_RO", write_ro),
    ("WRITE_KERN", write_kern),
    ("PROBE_HANDLER", probe_handler),
];

/// Adds the file. Once, at boot.
pub(crate) fn init() {
    tracefs::debugfs().dir("provoke-crash", 0o755).file(
        "DIRECT",
        Text::new(0o644)
            .show(|out| {
                out.write_str("Available crash types:\n").map_err(|_| Errno::ENOMEM)?;
                CRASHES.iter().try_for_each(|(name, _)| writeln!(out, "{name}")).map_err(|_| Errno::ENOMEM)
            })
            .store(|name| {
                let (_, crash) = CRASHES.iter().find(|(known, _)| *known == name).ok_or(Errno::EINVAL)?;
                crash();
                // Whoever comes back has proved that a promise is broken.
                log::error!("provoke-crash: {name} did not crash");
                Err(Errno::EIO)
            }),
    );
}

#[inline(never)]
fn access_null() {
    // SAFETY: not sound, on purpose: the read must fault.
    unsafe { core::ptr::read_volatile(core::hint::black_box(core::ptr::without_provenance::<u32>(8))) };
}

#[expect(unconditional_recursion, reason = "the stack must end first")]
#[inline(never)]
fn exhaust_stack(depth: u64) -> u64 {
    let mut frame = [depth; 64];
    core::hint::black_box(&mut frame);
    exhaust_stack(depth + 1) + frame[0]
}

fn call(addr: usize) {
    // SAFETY: not sound, on purpose: the call must fault at its first instruction.
    unsafe { core::mem::transmute::<usize, extern "C" fn()>(core::hint::black_box(addr))() }
}

#[inline(never)]
fn exec_data() {
    static RET: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(a64::encode::ret().0);
    call((&raw const RET).addr());
}

#[inline(never)]
fn exec_null() {
    call(4);
}

fn write(addr: usize) {
    // SAFETY: not sound, on purpose: the write must fault.
    unsafe {
        core::ptr::write_volatile(
            core::hint::black_box(core::ptr::with_exposed_provenance_mut::<u32>(addr)),
            0,
        )
    };
}

#[inline(never)]
fn write_ro() {
    static CONSTANT: [u32; 2] = [0x5eed, 0x5eed];
    write((&raw const CONSTANT).expose_provenance());
}

/// A handler of a probe that reads null. Not one of LKDTM's.
fn probe_handler() {
    struct Reads;
    impl Handler for Reads {
        fn pre(&self, _: u64, _: &mut PtRegs, _: &CpuPin) -> Flow {
            access_null();
            Flow::Continue
        }
    }
    let probe = Kprobe::register(probed as *const () as usize, Arc::new(Reads));
    if probe.as_ref().is_ok_and(|probe| probe.arm().is_ok()) {
        core::hint::black_box(probed as fn())();
    }
}

/// Like no other function: the linker makes one of those that are the same, and the trace would show the other's name.
#[inline(never)]
fn probed() {
    core::hint::black_box("probed");
}

#[inline(never)]
fn write_kern() {
    write(write_kern as *const () as usize);
}
