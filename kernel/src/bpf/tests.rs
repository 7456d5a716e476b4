//! `bpf exec`, by both engines, as they are compiled for the machine.

use super::cmd::exec::{Engine, run};
use crate::selftest::{Test, TestCtx, TestResult, check, check_eq};

/// The tests of this room.
pub(crate) const TESTS: &[Test] =
    &[Test { name: "results", run: results }, Test { name: "refusals", run: refusals }];

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
