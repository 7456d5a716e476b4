//! `bpf exec`: runs bytecode on memory, verified or in a sandbox.
//!
//! ```text
//!   bpf exec [--jit] FILE
//!     each line: PROGRAM [MEMORY]  ──▶ bpf::sandbox::Case ─┬▶ Sandbox::run     ─┬▶ r0, or why not
//!                                                         └▶ jit::checked::run ─┘
//! ```
//!
//! A program is verified for its memory (r1, and its length in r2), and runs on the kernel's own, by the interpreter or
//! compiled. With the boot argument [`UNVERIFIED`] the path analysis is spared, and only that: the program runs
//! in a sandbox, by the interpreter or compiled with each access looked up.

use alloc::format;
use alloc::string::String;

use ::bpf::kind::Context;
use ::bpf::sandbox::{BUDGET, Case, Sandbox};
use ::bpf::types::NoTypes;
use ::bpf::verify::{Input, Limits, NoMaps, verify};
use sh::Ctx;

use super::UNVERIFIED;
use crate::arch::cpu;
use crate::boot;
use crate::bpf::{helpers, jit};
use crate::sync::PreemptGuard;
use crate::time::now_ns;

/// A helper as compiled programs call it.
type Helper = extern "C" fn(u64, u64, u64, u64, u64) -> u64;

extern "C" fn ktime_get_ns(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    now_ns()
}

extern "C" fn get_smp_processor_id(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    let _here = PreemptGuard::new();
    cpu::id() as u64
}

/// The helpers of the sandbox, by their numbers on Linux: none that is given an address.
pub(in crate::bpf) fn native_helper(number: i32) -> Option<Helper> {
    const KTIME_GET_NS: i32 = 5;
    const GET_SMP_PROCESSOR_ID: i32 = 8;
    match number {
        KTIME_GET_NS => Some(ktime_get_ns),
        GET_SMP_PROCESSOR_ID => Some(get_smp_processor_id),
        _ => None,
    }
}

pub(in crate::bpf) fn helper(number: i32, [r1, r2, r3, r4, r5]: [u64; 5]) -> Option<u64> {
    native_helper(number).map(|helper| helper(r1, r2, r3, r4, r5))
}

/// Who runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bpf) enum Engine {
    /// The interpreter.
    Interpreter,
    /// The machine: it is compiled.
    Jit,
}

/// Verifies a case and runs it on the kernel's memory.
fn run_verified(case: &Case, engine: Engine) -> Result<u64, String> {
    let input = Input {
        program: &case.program,
        context: &Context::memory(case.memory.len() as u32),
        maps: &NoMaps,
        types: &NoTypes,
        cpus: cpu::online() as u32,
        limits: Limits::default(),
    };
    let verified = verify(&input).map_err(|rejection| match rejection.at {
        Some(at) => format!("insn {at}: {}", rejection.reason),
        None => rejection.reason.clone(),
    })?;
    helpers::prepare(&verified.helpers).map_err(|errno| format!("{errno:?}"))?;
    jit::verified::run(&verified, &case.memory, engine == Engine::Jit)
}

/// Runs a case that nobody verifies: r0, or what was wrong.
pub(in crate::bpf) fn run(line: &str, engine: Engine) -> Result<u64, String> {
    let case = Case::parse(line).map_err(|e| format!("{e}"))?;
    match engine {
        Engine::Interpreter => {
            Sandbox::new(case.memory, &helper, BUDGET).run(&case.program).map_err(|trap| format!("{trap}"))
        }
        Engine::Jit => jit::checked::run_text(&case.program, &case.memory, BUDGET),
    }
}

/// `bpf exec [--jit] FILE`: for each line of the file a line, `r0` in hexadecimal or `error: …`. 1 when there was an error.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let (path, engine) = match args {
        [path] => (path, Engine::Interpreter),
        ["--jit", path] => (path, Engine::Jit),
        _ => {
            ctx.eprint("usage: bpf exec [--jit] FILE\n");
            return 2;
        }
    };
    let text = match ctx.read_file(path) {
        Ok(text) => text,
        Err(errno) => {
            ctx.fail(path, errno);
            return 1;
        }
    };
    let mut status = 0;
    for line in String::from_utf8_lossy(&text).lines() {
        if ctx.stopped().is_some() {
            return 1;
        }
        let result = if boot::info().flag(UNVERIFIED) {
            run(line, engine)
        } else {
            Case::parse(line).map_err(|e| format!("{e}")).and_then(|case| run_verified(&case, engine))
        };
        match result {
            Ok(r0) => ctx.print(&format!("{r0:x}\n")),
            Err(why) => {
                ctx.print(&format!("error: {why}\n"));
                status = 1;
            }
        }
    }
    status
}
