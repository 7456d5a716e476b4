//! Writing an answer into an instruction.
//!
//! | instruction | where the answer goes | the access it makes |
//! |---|---|---|
//! | arithmetic with an immediate | `imm` | |
//! | load, store | `off` | becomes one of the kernel's size |
//! | 64-bit immediate | both halves | |

use alloc::format;
use alloc::string::String;

use super::{Answer, Done};
use crate::insn::{Insn, X, class, size};

/// The helper that a poisoned instruction calls; there is none of this number. libbpf writes the same.
pub const POISON: i32 = 0xbad_2310;

/// The instruction becomes one that is refused if it can be reached.
pub(super) fn poison(slots: &mut [Insn], what: &str) -> String {
    const CALL: u8 = class::JMP | 0x80;
    let count = if slots.first().is_some_and(|slot| slot.is_wide()) { 2 } else { 1 };
    for slot in slots.iter_mut().take(count) {
        *slot = Insn { opcode: CALL, imm: POISON, ..Insn::default() };
    }
    format!("the kernel has no {what}")
}

/// The same for a load or store whose size cannot follow; other instructions do not mind.
pub(super) fn poison_access(
    slots: &mut [Insn],
    before: Answer,
    after: Answer,
    why: String,
) -> Result<Done, String> {
    match slots.first() {
        Some(slot) if matches!(slot.class(), class::LDX | class::ST | class::STX) => {
            poison(slots, "");
            Ok(Done::Poisoned(why))
        }
        _ => patch(slots, before, after),
    }
}

/// Replaces one answer by another.
pub(super) fn patch(slots: &mut [Insn], before: Answer, after: Answer) -> Result<Done, String> {
    let Some((slot, rest)) = slots.split_first_mut() else {
        return Err("a CO-RE relocation behind the end".into());
    };
    let stale = |there: u64| {
        Err(format!(
            "a CO-RE relocation of an instruction with {there}, where the program's types say {}",
            before.value
        ))
    };
    match slot.class() {
        class::ALU | class::ALU64 => {
            if slot.opcode & X != 0 {
                return Err("a CO-RE relocation of arithmetic without an immediate".into());
            }
            if before.validate && slot.imm as u32 != before.value as u32 {
                return stale(u64::from(slot.imm as u32));
            }
            // What does not fit is the low half, as libbpf has it: negative values of enumerations.
            slot.imm = after.value as u32 as i32;
        }
        class::LDX | class::ST | class::STX => {
            if before.validate && u64::try_from(slot.off) != Ok(before.value) {
                return stale(u64::from(slot.off.cast_unsigned()));
            }
            let Ok(off) = i16::try_from(after.value) else {
                return Err(format!("the offset {} does not fit into a load", after.value));
            };
            slot.off = off;
            if let (Some(old), Some(new)) = (before.access, after.access)
                && old != new
            {
                let code = match new {
                    1 => size::B,
                    2 => size::H,
                    4 => size::W,
                    8 => size::DW,
                    _ => return Err(format!("no load has {new} bytes")),
                };
                slot.opcode = slot.opcode & !size::DW | code;
            }
        }
        class::LD => {
            let Some(second) = rest.first_mut().filter(|_| slot.is_wide() && slot.src == 0) else {
                return Err("a CO-RE relocation of an immediate that is none of 64 bits".into());
            };
            let there = u64::from(slot.imm as u32) | u64::from(second.imm as u32) << 32;
            if before.validate && there != before.value {
                return stale(there);
            }
            slot.imm = after.value as u32 as i32;
            second.imm = (after.value >> 32) as u32 as i32;
        }
        _ => return Err(format!("a CO-RE relocation of an instruction of opcode {:#04x}", slot.opcode)),
    }
    Ok(Done::Patched)
}
