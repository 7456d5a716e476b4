//! `bpf exec`: runs programs that nobody has verified, in a sandbox.
//!
//! ```text
//!   bpf exec FILE
//!     each line: PROGRAM [MEMORY]  ──▶ bpf::sandbox::Case ──▶ Sandbox::run ──▶ r0, or why not
//! ```
//!
//! Whatever is checked before a program runs, its structure is; only the path analysis is what such programs are spared, for
//! which there has to be the boot argument [`UNVERIFIED`](super::UNVERIFIED).

use alloc::format;
use alloc::string::String;

use ::bpf::sandbox::{BUDGET, Case, Sandbox};
use sh::Ctx;

use super::UNVERIFIED;
use crate::arch::cpu;
use crate::boot;
use crate::sync::PreemptGuard;
use crate::time::now_ns;

/// The helpers of the sandbox, by their numbers on Linux.
fn helper(number: i32, _: [u64; 5]) -> Option<u64> {
    const KTIME_GET_NS: i32 = 5;
    const GET_SMP_PROCESSOR_ID: i32 = 8;
    match number {
        KTIME_GET_NS => Some(now_ns()),
        GET_SMP_PROCESSOR_ID => {
            let _here = PreemptGuard::new();
            Some(cpu::id() as u64)
        }
        _ => None,
    }
}

/// Runs a case: r0, or what was wrong.
pub(in crate::bpf) fn run(line: &str) -> Result<u64, String> {
    let case = Case::parse(line).map_err(|e| format!("{e}"))?;
    Sandbox::new(case.memory, &helper, BUDGET).run(&case.program).map_err(|trap| format!("{trap}"))
}

/// `bpf exec FILE`: for each line of the file a line, `r0` in hexadecimal or `error: …`. 1 when there was an error.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let [path] = args else {
        ctx.eprint("usage: bpf exec FILE\n");
        return 2;
    };
    if !boot::info().flag(UNVERIFIED) {
        ctx.complain(format_args!(
            "exec: programs are not verified here; the boot argument {UNVERIFIED} allows it"
        ));
        return 1;
    }
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
        match run(line) {
            Ok(r0) => ctx.print(&format!("{r0:x}\n")),
            Err(why) => {
                ctx.print(&format!("error: {why}\n"));
                status = 1;
            }
        }
    }
    status
}
