//! `bpf prog run`: runs a program on request, and says what it returned and how long it took.
//!
//! ```text
//!   data_in FILE  ──▶ memory ── r1: its address, r2: its length ──▶ program ──▶ Return value: 42, duration: 1200ns
//!   data_out FILE ◀── memory as the program left it
//! ```
//!
//! A program of another kind gets the memory in place of its context: registers, a record. What it reads there has to be in
//! the file. A program that nobody has verified runs in a sandbox.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use ::bpf::sandbox::{BUDGET, NO_HELPERS, Sandbox};
use sh::{Ctx, OpenFlags};
use tracecore::errno::Errno;

use super::{Done, Failure, Words};
use crate::bpf::prog::{Engine, Prog};
use crate::bpf::run::{Running, Way};
use crate::sync::PreemptGuard;
use crate::time::now_ns;

/// The most bytes of memory that a program is run on.
const MEMORY_MAX: usize = 1 << 20;

/// What the words say.
#[derive(Default)]
struct Wanted<'a> {
    data_in: Option<&'a str>,
    data_out: Option<&'a str>,
    repeat: u32,
}

pub(super) fn run(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let prog = words.prog()?;
    let mut wanted = Wanted { repeat: 1, ..Wanted::default() };
    while let Some(word) = words.peek() {
        words.take(word);
        match word {
            // The names that bpftool has for what goes in and comes out, of packets and of contexts.
            "data_in" | "ctx_in" => wanted.data_in = Some(words.next("a file")?),
            "data_out" | "ctx_out" => wanted.data_out = Some(words.next("a file")?),
            "repeat" => wanted.repeat = words.number("repeat")?.max(1),
            _ => return Err(Failure::word(format!("expected data_in, data_out or repeat, got: '{word}'"))),
        }
    }
    let mut memory = match wanted.data_in {
        None => Vec::new(),
        Some(path) => ctx
            .read_file(path)
            .map_err(|errno| Failure::word(format!("failed to open '{path}': {}", errno.strerror())))?,
    };
    if memory.len() > MEMORY_MAX {
        return Err(Failure::refused("failed to run program", Errno::E2BIG));
    }
    let (r0, duration_ns) = repeat(ctx, &prog, &mut memory, wanted.repeat)?;
    if let Some(path) = wanted.data_out {
        write(ctx, path, &memory)?;
    }
    let average = if wanted.repeat > 1 { " (average)" } else { "" };
    let duration_ns = duration_ns / u64::from(wanted.repeat);
    // As with Linux, of r0 the lower half.
    ctx.print(&format!("Return value: {}, duration{average}: {duration_ns}ns\n", r0 as u32));
    Ok(())
}

/// Runs it so many times; what it returned last, and how long all of them took.
fn repeat(ctx: &Ctx, prog: &Prog, memory: &mut Vec<u8>, times: u32) -> Result<(u64, u64), Failure> {
    if let Engine::Sandbox = prog.parts().engine {
        let mut sandbox = Sandbox::new(core::mem::take(memory), NO_HELPERS, BUDGET);
        let begin = now_ns();
        let mut r0 = 0;
        for _ in 0..times {
            r0 = sandbox
                .run(&prog.parts().program)
                .map_err(|trap| Failure::word(format!("failed to run program: {trap}")))?;
        }
        *memory = sandbox.memory().to_vec();
        return Ok((r0, now_ns() - begin));
    }
    let needed = prog.parts().context_bytes as usize;
    if memory.len() < needed {
        let text =
            format!("failed to run program: it reads {needed} bytes, of which there are {}", memory.len());
        return Err(Failure { text, ..Failure::refused("", Errno::EINVAL) });
    }
    // Words, since a context is made of them.
    let mut words: Vec<u64> = vec![0; memory.len().div_ceil(8)];
    for (word, bytes) in words.iter_mut().zip(memory.chunks(8)) {
        let mut value = [0; 8];
        value.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        *word = u64::from_le_bytes(value);
    }
    let (mut r0, mut duration_ns) = (0, 0);
    for _ in 0..times {
        if ctx.stopped().is_some() {
            return Err(Failure { text: alloc::string::String::new(), status: 130 });
        }
        let here = PreemptGuard::new();
        let running = Running {
            prog,
            way: Way::Memory,
            ctx: words.as_mut_ptr().expose_provenance() as u64,
            cookie: 0,
            ip: 0,
        };
        let begin = now_ns();
        let result = prog.run_with(&running, memory.len() as u64, &here);
        duration_ns += now_ns() - begin;
        drop(here);
        // It runs already: one that is attached to what this command does.
        r0 = result.ok_or_else(|| Failure::refused("failed to run program", Errno::EBUSY))?;
    }
    for (bytes, word) in memory.chunks_mut(8).zip(&words) {
        bytes.iter_mut().zip(word.to_le_bytes()).for_each(|(to, from)| *to = from);
    }
    Ok((r0, duration_ns))
}

/// What the program left in memory, to a file or, as `-`, in hexadecimal to the output.
fn write(ctx: &mut Ctx, path: &str, memory: &[u8]) -> Done {
    if path == "-" {
        for (n, row) in memory.chunks(16).enumerate() {
            let mut line = format!("{:07x}\t", n * 16);
            for pair in row.chunks(2) {
                pair.iter().for_each(|byte| line.push_str(&format!("{byte:02x}")));
                line.push(' ');
            }
            ctx.print(&format!("{line:<48}| "));
            let shown = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
            let text: alloc::string::String = row.iter().map(shown).collect();
            ctx.print(&format!("{text}\n"));
        }
        return Ok(());
    }
    let failed = |errno: Errno| Failure::word(format!("failed to write '{path}': {}", errno.strerror()));
    let file = ctx
        .open(path, OpenFlags { write: true, create: true, truncate: true, ..OpenFlags::default() })
        .map_err(failed)?;
    let mut rest = memory;
    while !rest.is_empty() {
        let n = file.write(rest).map_err(failed)?;
        rest = rest.get(n..).filter(|_| n > 0).unwrap_or_default();
    }
    Ok(())
}
