//! `bpf exec`, by both engines, as they are compiled for the machine.

use super::cmd::exec::{Engine, run};
use super::cmd::verify::answer as verify;
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq};

/// The tests of this room.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "results", run: results },
    Test { name: "refusals", run: refusals },
    Test { name: "verdicts", run: verdicts },
    Test { name: "verifier's memory", run: memory },
];

const ENGINES: [Engine; 2] = [Engine::Interpreter, Engine::Jit];

fn results(t: &mut TestCtx<'_>) -> TestResult {
    for engine in ENGINES {
        // r0 = 7; exit
        check_eq!(t, run("b7000000070000009500000000000000", engine), Ok(7));
        // r0 = *(u32 *)(r1 + 1); exit
        check_eq!(t, run("61100100000000009500000000000000 0011223344", engine), Ok(0x4433_2211));
        // call ktime_get_ns; exit
        let before = crate::time::now_ns();
        let now = run("85000000050000009500000000000000", engine);
        check!(t, now.as_ref().is_ok_and(|now| (before..=crate::time::now_ns()).contains(now)), "{now:?}");
    }
    Ok(())
}

fn refusals(t: &mut TestCtx<'_>) -> TestResult {
    for engine in ENGINES {
        let said = |line| run(line, engine).err().unwrap_or_default();
        check_eq!(t, said("950"), "not pairs of hexadecimal digits");
        check_eq!(t, said("b700000007000000"), "insn 0: the last one of a function is not an exit or jump");
        check_eq!(t, said("0500ffff00000000"), "insn 0: too many jumps");
        check_eq!(
            t,
            said("61100200000000009500000000000000 0011223344"),
            "insn 0: access to 0x100000002, where there is nothing"
        );
        check_eq!(t, said("85000000010000009500000000000000"), "insn 0: no helper 1");
    }
    Ok(())
}

/// What the verifier says, as it is compiled for the machine.
fn verdicts(t: &mut TestCtx<'_>) -> TestResult {
    let said = |line| verify(line).err().unwrap_or_default();
    let accepted = "kprobe hash:8:8:16:name=m -- *(u64 *)(r10 - 8) = 1; r2 = r10; r2 += -8; r1 = map[m]; \
                    call map_lookup_elem; if r0 == 0 goto +1; r0 = *(u64 *)(r0 + 0); exit";
    check_eq!(t, said(accepted), "");
    let refused = accepted.replace("if r0 == 0 goto +1; ", "");
    check!(t, said(&refused).contains("R0 invalid mem access 'map_value_or_null'"), "{}", said(&refused));
    let register = said("kprobe.multi -- r0 = *(u64 *)(r1 + 152); exit");
    check!(
        t,
        register.contains("x19 is not saved here; programs attached as kprobe, perf_event"),
        "{register}"
    );
    check!(t, said("kprobe -- l: goto l").contains("infinite loop"), "{}", said("kprobe -- l: goto l"));
    check_eq!(t, said("xdp 95"), "no kind of program is called xdp");
    Ok(())
}

/// Nothing that the verifier remembers is left behind, and it stays within its limits.
fn memory(t: &mut TestCtx<'_>) -> TestResult {
    // Each round is another state, and two numbers are remembered of each.
    let hungry = "kprobe -- r6 = r1; r0 = 0; l: r2 = *(u64 *)(r6 + 0); *(u64 *)(r10 - 512) = r2; if r2 == 5 goto +1; \
                  r2 = 0; r0 += 1; if r0 < 2000 goto l; r3 = r10; r3 += -8; *(u64 *)(r3 + 0) = r0; r0 = r9; exit";
    let _ = verify(hungry);
    let before = crate::mm::stats();
    let said = verify(hungry).err().unwrap_or_default();
    let after = crate::mm::stats();
    check!(t, said.contains("R9 !read_ok"), "{said}");
    check_eq!(t, (before.large_bytes, before.failures), (after.large_bytes, after.failures));
    // More states than fit in one block of memory.
    let long = verify("kprobe -- r0 = 0; l: r0 += 1; if r0 < 120000 goto l; exit");
    check!(t, long.as_ref().is_ok_and(|said| said.starts_with("processed 240002 insns")), "{long:?}");
    check_eq!(t, before.failures, crate::mm::stats().failures);
    Ok(())
}
