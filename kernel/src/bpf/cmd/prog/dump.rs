//! `bpf prog dump`: a program's instructions as they are run, and the machine's.
//!
//! ```text
//!   ; u64 one = 1, *value;                        the line of source, where the object has such
//!      3: (63) *(u32 *)(r10 -4) = r6              slot, opcode, instruction
//! ```

use alloc::format;
use alloc::string::String;

use ::bpf::helper::HelperNames;
use ::bpf::text::Listed;
use a64::{Insn, disasm};
use sh::Ctx;

use super::{Done, Failure, Words, tag};
use crate::bpf::jit::Image;
use crate::bpf::prog::{Engine, Prog};

pub(super) fn dump(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let what = words.next("'xlated' or 'jited'")?;
    if !matches!(what, "xlated" | "jited") {
        return Err(Failure::word(format!("expected 'xlated' or 'jited', got: {what}")));
    }
    let prog = words.prog()?;
    let (mut opcodes, mut linum) = (false, false);
    while let Some(word) = words.peek() {
        match word {
            "opcodes" => opcodes = true,
            "linum" => linum = true,
            _ => return Err(Failure::word(format!("expected 'opcodes' or 'linum', got: '{word}'"))),
        }
        words.take(word);
    }
    if what == "xlated" {
        xlated(ctx, &prog, opcodes, linum);
        return Ok(());
    }
    jited(ctx, &prog)
}

/// The line of source that begins at a slot.
fn source(prog: &Prog, slot: usize, linum: bool) -> Option<String> {
    let parts = prog.parts();
    let btf = parts.btf.as_ref()?;
    let (_, line) = parts.lines.iter().find(|(at, _)| *at == slot)?;
    let mut text = format!("; {}", btf.string(line.text).trim());
    if linum {
        let file = btf.string(line.file);
        text.push_str(&format!(" [file:{file} line_num:{} line_col:{}]", line.line, line.column));
    }
    Some(text)
}

fn xlated(ctx: &mut Ctx, prog: &Prog, opcodes: bool, linum: bool) {
    let parts = prog.parts();
    let map_id = |place: i32| Some(parts.maps.get(usize::try_from(place).ok()?)?.id());
    for (slot, op) in parts.program.ops() {
        if let Some(line) = source(prog, slot, linum) {
            ctx.print(&format!("{line}\n"));
        }
        let slots = parts.program.slots().get(slot..slot + op.slots()).unwrap_or_default();
        let Some(first) = slots.first() else { return };
        let listed = Listed { opcode: first.opcode, op: &op, names: &HelperNames, map_id: &map_id };
        ctx.print(&format!("{slot:4}: {listed}\n"));
        if opcodes {
            let mut text = String::from("      ");
            for byte in slots.iter().flat_map(|slot| slot.to_bytes()) {
                text.push_str(&format!(" {byte:02x}"));
            }
            ctx.print(&format!("{text}\n"));
        }
    }
}

fn jited(ctx: &mut Ctx, prog: &Prog) -> Done {
    let parts = prog.parts();
    let image = match &parts.engine {
        Engine::Code(_, image) => image.downcast_ref::<Image>(),
        Engine::Sandbox => None,
    };
    let Some(image) = image else { return Err(Failure::word("no instructions returned")) };
    let compiled = image.compiled();
    ctx.print(&format!("bpf_prog_{}_{}:\n", tag(prog), parts.name));
    let mut last = None;
    for (word, code) in compiled.words.iter().take(compiled.code_words).enumerate() {
        let slot = compiled.slot_of(word);
        if slot != last
            && let Some(line) = slot.and_then(|slot| source(prog, slot, false))
        {
            ctx.print(&format!("{line}\n"));
        }
        last = slot;
        let pc = image.addr() as u64 + 4 * word as u64;
        ctx.print(&format!("{:4x}:\t{}\n", 4 * word, disasm::at(Insn(*code), pc)));
    }
    Ok(())
}
