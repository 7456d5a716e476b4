//! Every decision of the crate against an independent disassembler, word by word.
//!
//! The oracle is `disarm64`, generated from the tables of binutils: its decoder shares neither code nor layout
//! with ours. Three sets of words are compared:
//!
//! * *every value of bits 31..10*, four million words, twice, with the low ten bits (Rn, Rd) drawn from a seeded
//!   generator that likes 0 and 31: all opcode fields of the architecture lie there, so no class is left out;
//! * every value of bits 21..5 of the system instructions, whose opcodes reach further down;
//! * random words.
//!
//! Where the two differ, the rule that excuses it is in `excuses.rs`, with the section of the manual that decides.

mod excuses;
mod words;

use std::collections::HashMap;
use std::ptr;

use a64::decode::{Group, Operand, decode};
use a64::{Class, Insn, Reason, Sim, classify};
use disarm64::{InsnDisplay, InsnOpcode};

/// What the oracle knows of an instruction, by the address of its definition.
struct Known {
    mnemonic: &'static str,
    class: String,
    /// An operand is relative to the PC.
    pc_relative: bool,
}

struct Oracle {
    known: HashMap<*const disarm64::Insn, Known>,
}

/// The oracle's answer to a word.
struct Answer<'a> {
    known: &'a Known,
    opcode: disarm64::Opcode,
}

impl Answer<'_> {
    fn text(&self) -> String {
        std::panic::catch_unwind(|| self.opcode.display_at(0).to_string()).unwrap_or_default()
    }
}

impl Oracle {
    fn new() -> Oracle {
        Oracle { known: HashMap::new() }
    }

    fn ask(&mut self, insn: Insn) -> Option<Answer<'_>> {
        let opcode = disarm64::decoder::decode(insn.0)?;
        let definition = opcode.definition();
        let known = self.known.entry(ptr::from_ref(definition)).or_insert_with(|| Known {
            mnemonic: definition.mnemonic,
            class: format!("{:?}", definition.class),
            pc_relative: definition
                .operands
                .iter()
                .any(|operand| format!("{:?}", operand.kind).contains("PCREL")),
        });
        Some(Answer { known, opcode })
    }
}

/// Collects what differs, a few of each kind.
#[derive(Default)]
struct Differences {
    kinds: HashMap<String, (usize, Vec<String>)>,
}

impl Differences {
    fn add(&mut self, kind: String, insn: Insn, more: String) {
        let (count, samples) = self.kinds.entry(kind).or_default();
        *count += 1;
        if samples.len() < 3 {
            samples.push(format!("{insn:?} {more}"));
        }
    }

    fn assert_none(self) {
        let mut kinds: Vec<_> = self.kinds.into_iter().collect();
        kinds.sort();
        for (kind, (count, samples)) in &kinds {
            println!("{kind}: {count}");
            for sample in samples {
                println!("    {sample}");
            }
        }
        assert!(kinds.is_empty(), "{} kinds of difference", kinds.len());
    }
}

/// The mnemonic with its suffixes.
fn mnemonic(decoded: &a64::decode::Decoded) -> String {
    let mut name = decoded.mnemonic().to_string();
    for operand in decoded.operands() {
        if let Operand::Suffix(suffix) = operand {
            name += suffix;
        }
    }
    name
}

fn compare(words: impl Iterator<Item = Insn>) {
    let mut oracle = Oracle::new();
    let mut differences = Differences::default();
    for insn in words {
        let group = Group::of(insn);
        if matches!(group, Group::Sve | Group::Sme) {
            continue;
        }
        let ours = decode(insn);
        let theirs = oracle.ask(insn);
        let reserved =
            theirs.as_ref().and_then(|t| excuses::reserved(insn, t.known.mnemonic, &t.known.class));
        match (&ours, &theirs) {
            (None, None) => {}
            (Some(ours), None) => {
                let name = mnemonic(ours);
                if !excuses::only_we(&name) {
                    differences.add(format!("only we know {name}"), insn, String::new());
                }
            }
            (None, Some(theirs)) => {
                let (name, class) = (theirs.known.mnemonic, &*theirs.known.class);
                let excused = reserved == Some(true) || excuses::later(name, class) || excuses::vector(class);
                if !excused {
                    differences.add(format!("we miss {name} {class}"), insn, theirs.text());
                }
            }
            (Some(ours), Some(theirs)) => {
                let (name, known) = (mnemonic(ours), theirs.known);
                if reserved == Some(true) {
                    differences.add(format!("we take a reserved {name}"), insn, String::new());
                }
                if !excuses::same_name(&name, known.mnemonic, &known.class) {
                    differences.add(format!("{name} is {}", known.mnemonic), insn, String::new());
                }
            }
        }
        if let Some(theirs) = theirs
            && let Some(wrong) = misclassified(classify(insn), theirs.known)
        {
            differences.add(wrong, insn, String::new());
        }
    }
    differences.assert_none();
}

/// Does the class contradict what the oracle knows of the word?
fn misclassified(class: Class, known: &Known) -> Option<String> {
    let (name, group) = (known.mnemonic, &*known.class);
    let exclusive = exclusive(name);
    let right = match class {
        Class::Step { may_fault } => {
            !FLOW.contains(&group) && !known.pc_relative && !exclusive && (may_fault || !memory(name))
        }
        Class::Simulate(Sim::Jump { .. } | Sim::Call { .. }) => group == "BRANCH_IMM",
        Class::Simulate(Sim::JumpIf { .. }) => group == "CONDBRANCH",
        Class::Simulate(Sim::JumpIfBits { .. }) => group == "COMPBRANCH" || group == "TESTBRANCH",
        Class::Simulate(Sim::JumpReg { .. } | Sim::CallReg { .. }) => group == "BRANCH_REG",
        Class::Simulate(Sim::Adr { .. } | Sim::Adrp { .. }) => group == "PCRELADDR",
        Class::Simulate(Sim::Load { .. }) => group == "LOADLIT",
        Class::Simulate(Sim::ReadDaif { .. }) => name == "mrs",
        Class::Simulate(Sim::WriteDaif { .. } | Sim::SetDaif { .. } | Sim::ClearDaif { .. }) => name == "msr",
        Class::Simulate(Sim::Skip) => {
            group == "IC_SYSTEM" && name != "msr" || name == "prfm" && known.pc_relative
        }
        Class::Reject(Reason::Exception) => group == "EXCEPTION" || name == "udf",
        Class::Reject(Reason::ExceptionReturn | Reason::AuthBranch) => group == "BRANCH_REG",
        Class::Reject(Reason::Exclusive) => exclusive,
        Class::Reject(Reason::VectorLiteral) => group == "LOADLIT",
        Class::Reject(Reason::CompareBranch) => group == "COMPBRANCH",
        Class::Reject(Reason::SystemWrite) => name == "msr" || name == "msrr",
        Class::Reject(Reason::ProcessorState) => name == "msr" || group.starts_with("SME_ST"),
        Class::Reject(Reason::ExceptionState) => name == "mrs" || name == "mrrs",
        Class::Reject(Reason::CopyTriple) => name.starts_with("cpy") || name.starts_with("set"),
        Class::Reject(_) => true,
    };
    (!right).then(|| format!("{name} ({group}) is {class:?}"))
}

/// Classes of the oracle that set the PC.
const FLOW: [&str; 6] = ["BRANCH_IMM", "BRANCH_REG", "CONDBRANCH", "COMPBRANCH", "TESTBRANCH", "EXCEPTION"];

/// Is this one end of an exclusive sequence, by its name?
fn exclusive(name: &str) -> bool {
    let ends = ["ldx", "ldax", "stx", "stlx", "ldtx", "ldatx", "sttx", "stltx"];
    ends.iter().any(|end| name.strip_prefix(end).is_some_and(|rest| ["r", "rb", "rh", "p"].contains(&rest)))
}

/// Does this load or store, by its name?
fn memory(name: &str) -> bool {
    ["ld", "st", "cas", "swp", "rcw"].iter().any(|prefix| name.starts_with(prefix))
}

#[test]
fn every_opcode() {
    compare(words::every_opcode());
}

#[test]
fn every_system_instruction() {
    compare(words::every_system_instruction());
}

#[test]
fn random_words() {
    compare(words::random(2_000_000));
}

#[test]
fn system_registers_have_their_names() {
    let mut oracle = Oracle::new();
    let mut named = 0;
    for field in 0..1u32 << 15 {
        let insn = Insn(0xd530_0000 | field << 5);
        let reg = decode(insn).unwrap().operands().find_map(|operand| match operand {
            Operand::System(reg) => Some(reg),
            _ => None,
        });
        let Some(name) = reg.unwrap().name() else { continue };
        let text = oracle.ask(insn).unwrap().text();
        // Registers that can only be written have no name in a read there.
        if !text.contains("s2_") && !text.contains("s3_") {
            assert!(
                text.ends_with(&format!(" {name}")) || text.ends_with(&format!("\t{name}")),
                "{insn:?} {name}: {text}"
            );
            named += 1;
        }
    }
    assert!(named > 150, "{named} names compared");
}
