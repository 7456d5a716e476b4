//! `xray`: the code as it is now, beside the code as it was compiled.
//!
//! ```text
//!   / # xray work_add
//!   ffff800080010008 work_add+0x0   aa1e03e9  mov x9, x30            | d503201f  nop   ftrace site
//!   ffff80008001000c work_add+0x4   d503201f  nop
//!   ffff800080010010 work_add+0x8   d4200080  brk #0x4               | 8b010000  add x0, x0, x1   kprobe first (boosted)
//!   ffff800080010014 work_add+0xc   d65f03c0  ret
//! ```
//!
//! Left of the bar is what memory holds at this moment. A word that somebody has changed has a right side: what the
//! compiler put there, and whose change it is, as the owner itself says (`text::owner_of`).

use crate::ksyms;
use crate::text;
use a64::{Insn, disasm};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Write};
use sh::Ctx;

/// Words shown when neither a number nor the end of the function says how many.
const DEFAULT_WORDS: usize = 8;
/// Words shown at most.
const MAX_WORDS: usize = 4096;
/// Bytes of an instruction.
const WORD: usize = 4;

/// The program.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let (what, count) = match args {
        [what] => (*what, None),
        [what, count] => match number(count) {
            Some(n @ 1..=MAX_WORDS) => (*what, Some(n)),
            _ => {
                ctx.complain(format_args!("{count}: not a number of instructions (1 to {MAX_WORDS})"));
                return 2;
            }
        },
        _ => {
            ctx.eprint("usage: xray SYMBOL[+OFFSET]|ADDR [N]\n");
            return 2;
        }
    };
    let start = match place(what) {
        Ok(start) => start,
        Err(why) => {
            ctx.complain(format_args!("{what}: {why}"));
            return 1;
        }
    };
    // A reader that has gone ends the program by `Ctx::stopped`.
    let _ = show(ctx, start, count.unwrap_or_else(|| words_to_end(start, what)));
    0
}

/// A number as C writes it: `0x…` or decimal.
fn number(text: &str) -> Option<usize> {
    match text.strip_prefix("0x") {
        Some(hex) => usize::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The address that `what` names.
fn place(what: &str) -> Result<usize, &'static str> {
    let addr = if what.starts_with("0x") {
        number(what).ok_or("not an address")?
    } else if let Some(symbol) = ksyms::by_name(what) {
        symbol.start as usize
    } else {
        let (name, offset) = what.rsplit_once('+').ok_or("no such symbol")?;
        let symbol = ksyms::by_name(name).ok_or("no such symbol")?;
        (symbol.start as usize).checked_add(number(offset).ok_or("not an offset")?).ok_or("not an address")?
    };
    if !addr.is_multiple_of(WORD) {
        return Err("not the address of an instruction");
    }
    if word_at(addr).is_none() {
        return Err("not kernel code");
    }
    Ok(addr)
}

/// From `start` to the end of the function, when the user named one.
fn words_to_end(start: usize, what: &str) -> usize {
    match ksyms::by_addr(start) {
        Some(symbol) if !what.starts_with("0x") && symbol.size > 0 => {
            let end = symbol.start as usize + symbol.size as usize;
            end.saturating_sub(start).div_ceil(WORD).clamp(1, MAX_WORDS)
        }
        _ => DEFAULT_WORDS,
    }
}

/// The word at `addr`, if that is code: of the image, or of a probe's slot.
fn word_at(addr: usize) -> Option<Insn> {
    text::read_word(addr)
}

fn show(ctx: &mut Ctx, start: usize, words: usize) -> fmt::Result {
    for addr in (0..words).map_while(|n| start.checked_add(n * WORD)) {
        if ctx.stopped().is_some() {
            break;
        }
        let Some(now) = word_at(addr) else { break };
        let name = match ksyms::by_addr(addr) {
            Some(symbol) => format!("{}+{:#x}", symbol.name, addr - symbol.start as usize),
            None => String::from("?"),
        };
        write!(ctx, "{addr:016x} {name:<24} {:08x}  ", now.0)?;
        match text::owner_of(addr) {
            Some(owned) if owned.original != now => {
                let text = disassemble(now, addr);
                let was = disassemble(owned.original, addr);
                writeln!(ctx, "{text:<28} | {:08x}  {was:<28} {}", owned.original.0, owned.owner)?;
            }
            _ => writeln!(ctx, "{}", disassemble(now, addr))?,
        }
    }
    Ok(())
}

/// The text of a word, with names behind the places that it mentions.
fn disassemble(insn: Insn, addr: usize) -> String {
    disasm::at(insn, addr as u64).with_symbols(&name_behind).to_string()
}

/// ` <name+offset>` for an address that has a name.
fn name_behind(addr: u64, out: &mut dyn Write) -> fmt::Result {
    match ksyms::by_addr(addr as usize) {
        Some(symbol) if symbol.start == addr => write!(out, " <{}>", symbol.name),
        Some(symbol) => write!(out, " <{}+{:#x}>", symbol.name, addr - symbol.start),
        None => Ok(()),
    }
}
