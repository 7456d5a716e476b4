//! Compiled programs do what they say: the proofs on the machine.
//!
//! | test | shows |
//! |---|---|
//! | `vectors` | each instruction at its edges, by the interpreter and by compiled code of every kind |
//! | `differential` | random programs: the interpreter and compiled code leave the same registers and memory |
//! | `tail_calls`, `callbacks` | the ways between programs, functions and helpers |
//! | `clock` | the clock, read in place |
//! | `faults` | a load that may fault gives 0, any other is an oops as before |
//! | `memory` | all of it can be taken, and all of it comes back |
//! | `names` | a backtrace through a program knows it |

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::Program;
use ::bpf::fuzz;
use ::bpf::interp::{self as engine, Trap};
use ::bpf::jit::{Env, Options};
use ::bpf::op::Imm64;
use ::bpf::sandbox::Sandbox;
use ::bpf::text::{self, NoNames};
use ::bpf::vectors::{self, Vector};
use tracecore::errno::Errno;

use super::{Image, checked, symbol_name};
use crate::arch::cpu;
use crate::bpf::interp;
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq, diag};
use crate::sync::PreemptGuard;
use crate::text::programs::{self, Code};
use crate::{boot, ksyms, sync, time, unwind};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "vectors", run: vectors },
    Test { name: "differential", run: differential },
    Test { name: "traps", run: traps },
    Test { name: "tail_calls", run: tail_calls },
    Test { name: "callbacks", run: callbacks },
    Test { name: "clock", run: clock },
    Test { name: "faults", run: faults },
    Test { name: "memory", run: memory },
    Test { name: "names", run: names },
];

const BUDGET: u64 = 1_000_000;
const NAME: &str = "bpf_prog_test";

type Helper = extern "C" fn(u64, u64, u64, u64, u64) -> u64;

/// Helper 1: a sum.
extern "C" fn sum(a: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    [a, b, c, d, e].into_iter().fold(0, u64::wrapping_add)
}

/// Helper 2: calls what it is given.
extern "C" fn call_back(function: u64, argument: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the tests give it functions of compiled programs, of this type.
    let function: extern "C" fn(u64) -> u64 =
        unsafe { core::mem::transmute(core::ptr::with_exposed_provenance::<()>(function as usize)) };
    function(argument) + function(argument + 1)
}

/// How many frames of the backtrace are a program's, or 1000 if it has no end.
extern "C" fn program_frames(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, x29", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    let mut frames = 0;
    let end = unwind::walk(frame, false, |frame| {
        let symbol = ksyms::by_addr(frame.lookup_pc() as usize);
        frames += u64::from(symbol.is_some_and(|symbol| symbol.name == BACKTRACED));
        true
    });
    if end == unwind::End::Complete { frames } else { 1000 }
}

fn helper(number: i32) -> Option<Helper> {
    match number {
        1 => Some(sum),
        2 => Some(call_back),
        3 => Some(program_frames),
        _ => None,
    }
}

/// Where programs are entered by tail calls: index into this.
static ENTRIES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

extern "C" fn tail_target(_map: u64, index: u64) -> u64 {
    ENTRIES.get(index as usize).map_or(0, |entry| entry.load(Ordering::Relaxed))
}

struct Machine;

impl Env for Machine {
    fn helper(&self, number: i32) -> Option<u64> {
        helper(number).map(|helper| helper as usize as u64)
    }

    fn address(&self, imm: Imm64) -> Option<u64> {
        // What a tail call is given as its map: nobody looks at it.
        matches!(imm, Imm64::Map(_)).then_some(0)
    }

    fn tail_target(&self) -> Option<u64> {
        Some(tail_target as *const () as u64)
    }
}

fn parse(text: &str) -> Result<Program, String> {
    text::parse(text, &NoNames).map_err(|error| format!("{text}: {error}"))
}

fn image(text: &str) -> Result<Image, String> {
    Image::new(&parse(text)?, &Machine, &super::options(), NAME).map_err(|error| format!("{text}: {error}"))
}

fn call(image: &Image, args: [u64; 5]) -> u64 {
    let _here = PreemptGuard::new();
    // SAFETY: programs of these tests access what they are given, at offsets inside.
    unsafe { image.call(args) }
}

/// What a run leaves: r0 and the memory.
type Left = (Result<u64, String>, Vec<u8>);

fn interpreted(program: &Program, memory: &[u8]) -> Left {
    let helper = |number, [a, b, c, d, e]: [u64; 5]| helper(number).map(|helper| helper(a, b, c, d, e));
    let mut sandbox = Sandbox::new(memory.to_vec(), &helper, BUDGET);
    let result = sandbox.run(program).map_err(said);
    (result, sandbox.memory().to_vec())
}

/// The same on the kernel's memory.
fn interpreted_on_memory(program: &Program, memory: &[u8]) -> Left {
    let cells = cells(memory);
    let args = [cells.as_ptr().expose_provenance() as u64, memory.len() as u64, 0, 0, 0];
    // SAFETY: programs of these tests access what they are given, at offsets inside.
    let result = unsafe { interp::run(&engine::Code::new(program), &|_| None, args) }.map_err(said);
    (result, bytes(&cells, memory.len()))
}

fn cells(memory: &[u8]) -> Vec<AtomicU64> {
    let cell = |bytes: &[u8]| {
        let mut value = [0; 8];
        value.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        AtomicU64::new(u64::from_le_bytes(value))
    };
    memory.chunks(8).map(cell).collect()
}

fn bytes(cells: &[AtomicU64], len: usize) -> Vec<u8> {
    cells.iter().flat_map(|cell| cell.load(Ordering::Relaxed).to_le_bytes()).take(len).collect()
}

fn said(trap: Trap) -> String {
    format!("{trap}")
}

/// Ways of compiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As for a verified program.
    Plain,
    /// With no immediate to be seen.
    Blinded,
    /// For a machine without atomics in single words.
    Exclusive,
    /// For a program that nobody has verified.
    Checked,
}

const WAYS: [Way; 4] = [Way::Plain, Way::Blinded, Way::Exclusive, Way::Checked];

fn compiled(way: Way, program: &Program, memory: &[u8]) -> Left {
    let options = Options {
        blinding: (way == Way::Blinded).then_some(0x1234_5678_9abc_def1),
        lse: way != Way::Exclusive && cpu::has_lse(),
        ..Options::default()
    };
    if way == Way::Checked {
        return match checked::run_with(program, memory, BUDGET, &options, helper) {
            Ok(outcome) => (outcome.result.map_err(said), outcome.memory),
            Err(error) => (Err(format!("{error}")), Vec::new()),
        };
    }
    let image = match Image::new(program, &Machine, &options, NAME) {
        Ok(image) => image,
        Err(error) => return (Err(format!("{error}")), Vec::new()),
    };
    let cells = cells(memory);
    let at = cells.as_ptr().expose_provenance() as u64;
    let r0 = call(&image, [at, memory.len() as u64, 0, 0, 0]);
    (Ok(r0), bytes(&cells, memory.len()))
}

fn vectors(t: &mut TestCtx<'_>) -> TestResult {
    let mut ran = 0;
    for Vector { text, memory, r0, after } in vectors::all() {
        let program = match parse(&text) {
            Ok(program) => program,
            Err(why) => return Err(t.fail(file!(), line!(), format_args!("{why}"))),
        };
        let expected = (Ok(r0), after);
        let found = interpreted(&program, &memory);
        check!(t, found == expected, "{text}: interpreted {found:x?}, not {expected:x?}");
        // The kernel's helper 1 is another one.
        if !text.contains("call 1") {
            let found = interpreted_on_memory(&program, &memory);
            check!(t, found == expected, "{text}: on memory {found:x?}, not {expected:x?}");
        }
        for way in WAYS {
            let found = compiled(way, &program, &memory);
            check!(t, found == expected, "{text}: {way:?} {found:x?}, not {expected:x?}");
        }
        ran += 1;
    }
    diag!(t, "{ran} programs, each interpreted and compiled in {} ways", WAYS.len());
    check!(t, ran > 500);
    Ok(())
}

fn differential(t: &mut TestCtx<'_>) -> TestResult {
    const PROGRAMS: u64 = 2000;
    let long = boot::info().arg("selftest") == Some("long");
    let programs = if long { 20 * PROGRAMS } else { PROGRAMS };
    let mut insns = 0;
    for seed in 0..programs {
        let (program, memory) = (fuzz::program(seed), fuzz::memory(seed));
        insns += program.ops().count();
        let expected = interpreted(&program, &memory);
        check!(t, expected.0.is_ok(), "seed {seed}: {:?}", expected.0);
        // Each program as it is for a verified one, and in one other way.
        let other = WAYS[1 + seed as usize % 3];
        for way in [Way::Plain, other] {
            let found = compiled(way, &program, &memory);
            if found != expected {
                let listing = text::print(&program, &NoNames);
                check!(t, false, "seed {seed}: {way:?} {found:x?}, not {expected:x?}\n{listing}");
            }
        }
    }
    diag!(t, "{programs} programs of {insns} instructions agree");
    Ok(())
}

/// Programs that nobody has verified end for the same reasons, at the same instructions.
fn traps(t: &mut TestCtx<'_>) -> TestResult {
    for text in [
        "r0 = *(u64 *)(r1 + 1); exit",
        "r0 = 0; *(u8 *)(r1 - 1) = 1; exit",
        "r0 = 0; r2 = *(u8 *)(r2 + 0); exit",
        "r0 = *(u64 *)(r10 + 0); exit",
        "r0 = *(u64 *)(r10 - 4097); exit",
        "r1 = 0x1ffffffff ll; r0 = *(u8 *)(r1 + 0); exit",
        "r0 = 1; lock *(u64 *)(r1 + 4) += r0; exit",
        "r0 = 1; lock *(u32 *)(r1 + 2) += w0; exit",
        "again: r0 += 1; goto again; exit",
        "again: r0 += 1; if r0 != 0 goto again; exit",
        "call deep; exit; deep: r6 = 1; call deep; exit",
        "r0 = 0; call 77; exit",
        "r1 = map[3]; r0 = 0; exit",
        "r0 = 7; r10 += 8; r0 = *(u64 *)(r10 - 16); exit",
        "*(u64 *)(r10 - 4096) = 7; r0 = *(u64 *)(r10 - 4096); exit",
    ] {
        let program = parse(text);
        check!(t, program.is_ok(), "{program:?}");
        let Ok(program) = program else { continue };
        let (expected, found) = (interpreted(&program, &[0; 8]), compiled(Way::Checked, &program, &[0; 8]));
        check!(t, found == expected, "{text}: {found:?}, not {expected:?}");
    }
    // The budget is the same to the last jump.
    let counting = parse("r1 = 10; again: r0 += r1; r1 -= 1; if r1 != 0 goto again; exit");
    check!(t, counting.is_ok());
    for budget in 0..12 {
        let Ok(program) = &counting else { continue };
        let interpreted = Sandbox::new(Vec::new(), &|_, _| None, budget).run(program);
        let compiled = checked::run_with(program, &[], budget, &super::options(), helper);
        check_eq!(t, compiled.map(|outcome| outcome.result), Ok(interpreted), "{budget}");
    }
    Ok(())
}

fn tail_calls(t: &mut TestCtx<'_>) -> TestResult {
    // Counts itself, and goes on with itself until that is refused.
    let again = image(
        "r6 = r1; r2 = *(u64 *)(r1 + 0); r2 += 1; *(u64 *)(r1 + 0) = r2
         r2 = map[1]; r3 = 0; call 12; r0 = *(u64 *)(r6 + 0); exit",
    );
    // In a function of the program it replaces that function.
    let inner = image("call inner; r0 += 100; exit; inner: r2 = map[1]; r3 = 1; call 12; r0 = 7; exit");
    let five = image("r0 = *(u64 *)(r1 + 0); r0 += 5; exit");
    let (Ok(again), Ok(inner), Ok(five)) = (&again, &inner, &five) else {
        return Err(t.fail(file!(), line!(), format_args!("{again:?} {inner:?} {five:?}")));
    };
    let count = AtomicU64::new(0);
    let context = (&raw const count).expose_provenance() as u64;
    ENTRIES[0].store(again.tail_entry() as u64, Ordering::Relaxed);
    check_eq!(t, call(again, [context, 0, 0, 0, 0]), 34);
    // Anew for each run.
    check_eq!(t, call(again, [context, 0, 0, 0, 0]), 68);
    // Nothing there: it goes on.
    check_eq!(t, call(inner, [context, 0, 0, 0, 0]), 107);
    ENTRIES[1].store(five.tail_entry() as u64, Ordering::Relaxed);
    check_eq!(t, call(inner, [context, 0, 0, 0, 0]), 68 + 105);
    // 33 over all functions of a run: the first takes them all.
    ENTRIES[1].store(again.tail_entry() as u64, Ordering::Relaxed);
    count.store(0, Ordering::Relaxed);
    check_eq!(t, call(inner, [context, 0, 0, 0, 0]), 33 + 100);
    for entry in &ENTRIES {
        entry.store(0, Ordering::Relaxed);
    }
    Ok(())
}

fn callbacks(t: &mut TestCtx<'_>) -> TestResult {
    let program = image(
        "r6 = 5; r1 = code[twice]; r2 = 10; call 2; r0 += r6; exit
         twice: r6 = r1; r0 = r1; r0 += r6; exit",
    );
    check_eq!(t, program.map(|program| call(&program, [0; 5])), Ok(20 + 22 + 5));
    Ok(())
}

/// What is read in place is what the helper says.
fn clock(t: &mut TestCtx<'_>) -> TestResult {
    struct Clock;

    impl Env for Clock {
        fn helper(&self, _: i32) -> Option<u64> {
            None
        }

        fn address(&self, _: Imm64) -> Option<u64> {
            None
        }

        fn clock(&self) -> Option<u64> {
            Some(time::ns_per_tick())
        }
    }

    let image = parse("call 5; exit").map(|program| Image::new(&program, &Clock, &super::options(), NAME));
    let Ok(Ok(image)) = image else { return Err(t.fail(file!(), line!(), format_args!("{image:?}"))) };
    for _ in 0..100 {
        let before = time::now_ns();
        let now = call(&image, [0; 5]);
        check!(t, (before..=time::now_ns()).contains(&now), "{before} {now}");
    }
    Ok(())
}

fn faults(t: &mut TestCtx<'_>) -> TestResult {
    const LOADS: [(&str, u64); 4] = [
        ("r0 = 9; r0 = *(u64 *)(r1 + 0); r0 += 1; exit", 0x8000_0000_0000_0001),
        ("r6 = 9; r6 = *(s8 *)(r1 + 7); r0 = r6; r0 += 1; exit", 0xffff_ffff_ffff_ff81),
        ("r0 = 9; r0 = *(u32 *)(r1 + 4); r0 += 1; exit", 0x8000_0001),
        ("r0 = r1; r1 = *(u64 *)(r1 + 0); r0 = r1; r0 += 1; exit", 0x8000_0000_0000_0001),
    ];
    let value = AtomicU64::new(1 << 63);
    let good = (&raw const value).expose_provenance() as u64;
    for (text, expected) in LOADS {
        let program = parse(text);
        let options = Options { probe_reads: &[1], ..super::options() };
        let image = program.and_then(|program| {
            Image::new(&program, &Machine, &options, NAME).map_err(|error| format!("{error}"))
        });
        let Ok(image) = image else { return Err(t.fail(file!(), line!(), format_args!("{image:?}"))) };
        check_eq!(t, call(&image, [good, 0, 0, 0, 0]), expected, "{text}");
        // Not mapped, not canonical, the last page.
        for bad in [0, 8, 0x00ff_0000_0000_0000, 0xdead_beef_dead_beef, 0xffff_ffff_ffff_ff00] {
            check_eq!(t, call(&image, [bad, 0, 0, 0, 0]), 1, "{text} of {bad:#x}");
        }
    }
    Ok(())
}

fn memory(t: &mut TestCtx<'_>) -> TestResult {
    sync::quiesce::synchronize();
    check_eq!(t, Code::take(0, NAME).map(|_| ()), Err(Errno::EINVAL));
    check_eq!(t, Code::take(programs::BYTES / 4 + 1, NAME).map(|_| ()), Err(Errno::ENOSPC));
    // Those of the tests before are given back by a worker, some time after a quiet point.
    let mut before = programs::taken();
    for _ in 0..1000 {
        if before == 0 {
            break;
        }
        crate::task::sleep_ns(1_000_000);
        before = programs::taken();
    }
    let mut all = Vec::new();
    let refused = loop {
        match Code::take(4096, NAME) {
            Ok(code) => all.push(code),
            Err(errno) => break errno,
        }
    };
    check_eq!(t, refused, Errno::ENOSPC);
    check!(t, all.len() <= programs::BYTES / (4 * 4096));
    check!(t, programs::taken() > programs::BYTES - 4 * 4096 - before);
    // A program that is too large now is an error, and nothing else.
    let large = parse(&format!("{}exit", "r0 %= r1;".repeat(5000)));
    let error = large
        .map(|large| Image::new(&large, &Machine, &super::options(), NAME).map_err(|error| error.errno()));
    check!(t, matches!(error, Ok(Err(Errno::ENOSPC))), "{error:?}");
    drop(all);
    check_eq!(t, programs::taken(), before);
    // Many small ones: bounded too.
    let mut all = Vec::new();
    while let Ok(code) = Code::take(1, NAME) {
        all.push(code);
    }
    check!(t, all.len() <= programs::BLOCKS);
    drop(all);
    check_eq!(t, programs::taken(), before);
    Ok(())
}

const BACKTRACED: &str = "bpf_prog_0123456789abcdef_backtraced";

fn names(t: &mut TestCtx<'_>) -> TestResult {
    let name = symbol_name([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef], "backtraced");
    check_eq!(t, name, BACKTRACED);
    let program = parse("call inner; exit; inner: call 3; exit");
    let image = program.map(|program| Image::new(&program, &Machine, &super::options(), BACKTRACED));
    let Ok(Ok(image)) = image else { return Err(t.fail(file!(), line!(), format_args!("{image:?}"))) };
    check_eq!(t, call(&image, [0; 5]), 2);
    let symbol = ksyms::by_name(BACKTRACED).map(|symbol| symbol.start as usize);
    check_eq!(t, symbol, Some(image.addr()));
    check!(t, ksyms::by_addr(image.entry()).is_some_and(|symbol| symbol.is_text()));
    check_eq!(t, image.compiled().functions.len(), 2);
    // No probe in it.
    let addr = image.entry();
    drop(image);
    for _ in 0..1000 {
        if ksyms::by_addr(addr).is_none_or(|symbol| symbol.name != BACKTRACED) {
            return Ok(());
        }
        crate::task::sleep_ns(1_000_000);
    }
    Err(t.fail(file!(), line!(), format_args!("the symbol stays")))
}
