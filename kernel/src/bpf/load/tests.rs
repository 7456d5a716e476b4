//! Loading, as it is done in the machine: what runs, what is refused, and that nothing is left behind.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ::bpf::helper::HelperNames;
use ::bpf::object::Object;
use ::bpf::object::source::{self, Defaults};
use tracecore::errno::Errno;

use super::{LoadError, Loaded, can_read, load};
use crate::bpf::run::{Running, Way};
use crate::bpf::{link, maps, prog, types};
use crate::mm;
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq};
use crate::sync::{PreemptGuard, quiesce};
use crate::task;

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "results", run: results },
    Test { name: "memory_is_read_and_written", run: memory_is_read_and_written },
    Test { name: "tail_calls", run: tail_calls },
    Test { name: "callbacks", run: callbacks },
    Test { name: "counts_of_runs", run: counts_of_runs },
    Test { name: "refusals_leave_nothing", run: refusals_leave_nothing },
    Test { name: "a_thousand_come_and_go", run: a_thousand_come_and_go },
    Test { name: "memory_runs_out", run: memory_runs_out },
    Test { name: "mutated_objects", run: mutated_objects },
];

const FUNCLATENCY: &[u8] = include_bytes!("../../../../tools/funclatency.o");
const ARGFILTER: &[u8] = include_bytes!("../../../../tools/argfilter.o");

fn made(text: &str) -> Result<Loaded, LoadError> {
    let defaults = Defaults { section: "syscall", name: "test", names: &HelperNames };
    let object = source::parse(text, &defaults).map_err(|why| LoadError::new(Errno::EINVAL, why.why()))?;
    load(&object, usize::MAX)
}

/// Runs a program on some words: r0.
fn run(prog: &prog::Prog, words: &mut [u64]) -> Option<u64> {
    let here = PreemptGuard::new();
    let ctx = words.as_mut_ptr().expose_provenance() as u64;
    let running = Running { prog, way: Way::Memory, ctx, cookie: 0, ip: 0 };
    prog.run_with(&running, words.len() as u64 * 8, &here)
}

/// What the first program of a text returns.
fn result(text: &str) -> Result<Option<u64>, String> {
    let loaded = made(text).map_err(|why| why.log)?;
    let first = loaded.progs.first().ok_or("no program")?;
    Ok(run(first, &mut [0; 8]))
}

fn results(t: &mut TestCtx<'_>) -> TestResult {
    check_eq!(t, result("r0 = 42; exit"), Ok(Some(42)));
    check_eq!(t, result("r0 = 0x123456789 ll; r0 *= 2; exit"), Ok(Some(0x2_468a_cf12)));
    check_eq!(t, result("r1 = 20; call twice; exit; twice: r0 = r1; r0 += r1; exit"), Ok(Some(40)));
    check_eq!(
        t,
        result(".data n 8; r1 = map[n]; *(u64 *)(r1 + 0) = 7; r0 = *(u64 *)(r1 + 0); exit"),
        Ok(Some(7))
    );
    check_eq!(
        t,
        result(".string s \"abc\"; r1 = map[s]; r0 = *(u32 *)(r1 + 0); exit"),
        Ok(Some(0x0063_6261))
    );
    let counted =
        ".map m array key 4 value 8 entries 4; *(u32 *)(r10 - 4) = 3; r1 = map[m]; r2 = r10; r2 += -4
        call map_lookup_elem; if r0 == 0 goto out; *(u64 *)(r0 + 0) = 9; r0 = *(u64 *)(r0 + 0); exit
        out: r0 = 0; exit";
    check_eq!(t, result(counted), Ok(Some(9)));
    Ok(())
}

fn memory_is_read_and_written(t: &mut TestCtx<'_>) -> TestResult {
    let loaded = made("r0 = *(u64 *)(r1 + 8); r0 += 1; *(u64 *)(r1 + 0) = r0; r0 = r2; exit");
    let Ok(loaded) = loaded else { return Err(t.fail(file!(), line!(), format_args!("not loaded"))) };
    let mut words = [0, 41, 0];
    check_eq!(t, loaded.progs.first().and_then(|prog| run(prog, &mut words)), Some(24));
    check_eq!(t, words, [42, 41, 0]);
    check_eq!(t, loaded.progs.first().map(|prog| prog.parts().context_bytes), Some(16));
    Ok(())
}

fn tail_calls(t: &mut TestCtx<'_>) -> TestResult {
    let text = |second: &str| {
        format!(
            ".map next prog_array entries 2; .put next 1 second
            .section syscall first
            r2 = map[next]; r3 = 1; call tail_call; r0 = 1; exit
            .section {second} second
            r0 = 2; exit"
        )
    };
    check_eq!(t, result(&text("syscall")), Ok(Some(2)));
    // Nothing there: on behind the call.
    check_eq!(
        t,
        result(".map next prog_array entries 2; r2 = map[next]; r3 = 0; call tail_call; r0 = 1; exit"),
        Ok(Some(1))
    );
    check_eq!(
        t,
        result(".map next prog_array entries 2; r2 = map[next]; r3 = 9; call tail_call; r0 = 1; exit"),
        Ok(Some(1))
    );
    // One that expects registers is not given memory.
    check_eq!(t, made(&text("kprobe/work_add")).err().map(|why| why.errno), Some(Errno::EINVAL));
    Ok(())
}

fn callbacks(t: &mut TestCtx<'_>) -> TestResult {
    let text = "*(u64 *)(r10 - 8) = 0; r1 = 10; r2 = code[each]; r3 = r10; r3 += -8; r4 = 0; call loop
        r0 = *(u64 *)(r10 - 8); exit
        each: r3 = *(u64 *)(r2 + 0); r3 += r1; *(u64 *)(r2 + 0) = r3; r0 = 0; exit";
    check_eq!(t, result(text), Ok(Some(45)));
    Ok(())
}

fn counts_of_runs(t: &mut TestCtx<'_>) -> TestResult {
    let Ok(loaded) = made("r0 = 0; exit") else {
        return Err(t.fail(file!(), line!(), format_args!("not loaded")));
    };
    let Some(prog) = loaded.progs.first() else { return Ok(()) };
    run(prog, &mut []);
    check_eq!(t, prog.counts(), prog::Counts::default());
    let was_on = prog::STATS.is_enabled();
    check!(t, was_on || prog::STATS.enable().is_ok(), "could not be switched on");
    for _ in 0..7 {
        run(prog, &mut []);
    }
    check_eq!(t, (prog.counts().run_cnt, prog.counts().recursion_misses), (7, 0));
    check!(t, was_on || prog::STATS.disable().is_ok(), "could not be switched off");
    Ok(())
}

/// Programs, links, maps, bytes of maps.
fn there() -> (u64, usize, usize, u64) {
    let (loaded, freed) = prog::totals();
    (loaded - freed, link::all().len(), maps::all().len(), maps::charged())
}

/// What is let go of is freed a quiet point later, by a task of its own; two for what that lets go of.
fn settled() -> (u64, usize, usize, u64) {
    let mut last = there();
    for _ in 0..50 {
        quiesce::synchronize();
        task::sleep_ns(2_000_000);
        let now = there();
        if now == last && now.0 == prog::all().len() as u64 {
            return now;
        }
        last = now;
    }
    last
}

fn refusals_leave_nothing(t: &mut TestCtx<'_>) -> TestResult {
    let before = settled();
    let good = ".map a hash key 4 value 8 entries 64; .section syscall one; r1 = map[a]; r0 = 0; exit; ";
    for _ in 0..20 {
        for (text, errno) in [
            (".section syscall two; r0 = r5; exit", Errno::EACCES),
            (".section nosuch/x two; r0 = 0; exit", Errno::EINVAL),
            (".section tp/nosuch/thing two; r0 = 0; exit", Errno::ENOENT),
            (".section kprobe.multi/work_add two; r0 = *(u64 *)(r1 + 152); exit", Errno::EACCES),
            (
                ".map b array key 4 value 0x7fffffff entries 0x7fffffff; .section syscall two; r1 = map[b]; r0 = 0; exit",
                Errno::E2BIG,
            ),
            (
                ".map b hash key 4 value 4096 entries 0x30000; .section syscall two; r1 = map[b]; r0 = 0; exit",
                Errno::ENOMEM,
            ),
            (
                ".map b array key 8 value 4 entries 1; .section syscall two; r1 = map[b]; r0 = 0; exit",
                Errno::EINVAL,
            ),
            (".section syscall two; r0 = map[77]; r0 = 0; exit", Errno::EBADF),
        ] {
            let refused = made(&format!("{good}{text}"));
            check_eq!(t, refused.as_ref().err().map(|why| why.errno), Some(errno), "{text}");
            check!(t, refused.err().is_some_and(|why| why.log.ends_with('\n')), "{text}");
        }
    }
    check_eq!(t, settled(), before);
    Ok(())
}

fn a_thousand_come_and_go(t: &mut TestCtx<'_>) -> TestResult {
    let before = settled();
    let (loaded_before, _) = prog::totals();
    for _ in 0..10 {
        let batch: Vec<_> = (0..100).map(|_| made(".data n 64; r1 = map[n]; r0 = 0; exit")).collect();
        check!(t, batch.iter().all(Result::is_ok), "not all were loaded");
    }
    check_eq!(t, prog::totals().0 - loaded_before, 1000);
    check_eq!(t, settled(), before);
    Ok(())
}

/// Of the heap, and of what is executable: an error number and a line, and all of it is there again afterwards.
fn memory_runs_out(t: &mut TestCtx<'_>) -> TestResult {
    let before = settled();
    let refused = can_read(mm::stats().free_bytes / 16).err();
    check_eq!(t, refused.map(|why| why.errno), Some(Errno::ENOMEM));
    check_eq!(t, can_read(1000), Ok(()));
    // Long programs, until there is no room for their code.
    let mut text = String::from("r0 = 0; ");
    for _ in 0..8000 {
        text.push_str("r0 += r0; ");
    }
    text.push_str("exit");
    let (mut there, mut last) = (Vec::new(), None);
    while last.is_none() && there.len() < prog::PROGS_MAX {
        match made(&text) {
            Ok(loaded) => there.push(loaded),
            Err(why) => last = Some(why),
        }
    }
    t.diag(format_args!("{} programs of 8000 instructions", there.len()));
    drop(there);
    check_eq!(t, last.as_ref().map(|why| why.errno), Some(Errno::ENOSPC));
    check!(t, last.is_some_and(|why| why.log.contains("memory")), "no reason");
    check_eq!(t, settled(), before);
    check_eq!(t, made(&text).map(|loaded| loaded.progs.len()), Ok(1));
    check_eq!(t, settled(), before);
    Ok(())
}

fn mutated_objects(t: &mut TestCtx<'_>) -> TestResult {
    let before = settled();
    let (mut number, mut taken) = (0x5eed_0001_u64, 0);
    let mut next = |below: usize| {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        (number % below as u64) as usize
    };
    for nth in 0..400 {
        let mut bytes = [FUNCLATENCY, ARGFILTER][nth % 2].to_vec();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = byte.wrapping_add([1, 8, 0x80, 0xff][next(4)]);
            }
        }
        if let Ok(object) = Object::parse(&bytes, "mutated", &types::Kernel) {
            taken += u32::from(load(&object, usize::MAX).is_ok());
        }
    }
    t.diag(format_args!("{taken} of 400 were loaded"));
    check_eq!(t, settled(), before);
    Ok(())
}
