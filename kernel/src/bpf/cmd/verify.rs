//! `bpf verify`: what the verifier says of programs that are not loaded.
//!
//! ```text
//!   bpf verify FILE
//!     each line: KIND PROGRAM [MAP]…  ──▶ bpf::verify::case::Case ──▶ accepted: …
//!                                                                └──▶ refused: the log, its further lines indented
//! ```
//!
//! Nothing is made of the maps, and nothing runs.

use alloc::format;
use alloc::string::{String, ToString};

use ::bpf::types::NoTypes;
use ::bpf::verify::Limits;
use ::bpf::verify::case::Case;
use sh::Ctx;

use crate::arch::MAX_CPUS;
use crate::mm;

/// What the verifier may use up: a part of the memory that is free, and no more than it ever needs.
pub(in crate::bpf) fn limits() -> Limits {
    const PART: usize = 4;
    let limits = Limits::default();
    Limits { memory: limits.memory.min(mm::stats().free_bytes / PART), ..limits }
}

/// The answer to a line, in one or more lines.
pub(in crate::bpf) fn answer(line: &str) -> Result<String, String> {
    let case = Case::parse(line).map_err(|e| e.to_string())?;
    let verified = case.verify(&NoTypes, MAX_CPUS as u32, limits()).map_err(|e| e.to_string())?;
    Ok(format!(
        "processed {} insns, {} states, stack depth {}",
        verified.processed, verified.states, verified.stack_depth
    ))
}

/// `bpf verify FILE`: for each line of the file `accepted: …` or `refused: …`. 1 when one was refused.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let [path] = args else {
        ctx.eprint("usage: bpf verify FILE\n");
        return 2;
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
        match answer(line) {
            Ok(what) => ctx.print(&format!("accepted: {what}\n")),
            Err(why) => {
                ctx.print(&format!("refused: {}\n", why.trim_end().replace('\n', "\n  ")));
                status = 1;
            }
        }
    }
    status
}
