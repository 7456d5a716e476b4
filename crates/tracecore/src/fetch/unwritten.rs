//! What a filter can know of a record before it is written.
//!
//! Of a record's bytes some are known as soon as the probe is hit: the head, and what the program takes from registers
//! and constants. The others lie in memory, which may be another the next time it is looked at; a filter that asks for
//! those judges what was recorded. What a program knows and what a filter reads are two masks with a bit for every four
//! bytes, so a hit costs one test to find out.
//!
//! ```text
//!   bytes     0        8     16      24          32
//!           ┌────────┬─────┬───────┬───────────┬─────────┐
//!           │ common │ ip  │ a=%x0 │ b=+0(%x1) │ c=$comm │
//!           └────────┴─────┴───────┴───────────┴─────────┘
//!   known     1 1      1 1   1 1     0 0         0             `a > 3 && common_pid == 7` reads 4…8 and 16…24: known
//! ```

use super::run::pick;
use super::{Program, Store};
use crate::filter::{Filter, Subject};
use a64::Registers;

/// Bytes that share a bit of a mask.
const UNIT_BYTES: usize = 4;
/// The units that masks have bits for. What lies behind them shares [`BEYOND`].
const UNITS: usize = 63;
/// The bit of what no mask says more of: texts, and what lies far behind.
pub(crate) const BEYOND: u64 = 1 << UNITS;

/// The bits of the units that these bytes lie in.
pub(crate) fn units(at: usize, len: usize) -> u64 {
    let end = (at + len).div_ceil(UNIT_BYTES);
    let below = |unit: usize| if unit < 64 { (1_u64 << unit) - 1 } else { u64::MAX };
    let mask = below(end) & !below(at / UNIT_BYTES);
    if end > UNITS { mask | BEYOND } else { mask }
}

/// A record that has not been written.
#[derive(Clone, Copy, Debug)]
pub struct Unwritten<'a> {
    program: &'a Program,
    head: &'a [u64],
    regs: Registers<'a>,
    entry_args: &'a [u64],
}

impl Program {
    /// The record that a hit would make, for `filter`; `None` if that asks for more than is known.
    #[inline(always)]
    pub fn unwritten<'a>(
        &'a self,
        filter: &Filter,
        head: &'a [u64],
        regs: Registers<'a>,
        entry_args: &'a [u64],
    ) -> Option<Unwritten<'a>> {
        let known = filter.reads() & !self.known_units == 0;
        known.then_some(Unwritten { program: self, head, regs, entry_args })
    }

    /// The fields of word `index` that come from registers and constants. A field may lie across two words.
    fn known_word(&self, index: usize, regs: Registers<'_>, entry_args: &[u64]) -> u64 {
        let mut word = 0;
        if let Some(plain) = self.plain.iter().find(|plain| usize::from(plain.word) == index) {
            word = regs.x(plain.x);
        }
        for field in &self.fields {
            let Store::Value { size, bits } = field.store else { continue };
            let (start, end) = (usize::from(field.at), usize::from(field.at) + usize::from(size));
            if field.walk.steps != 0 || start >= (index + 1) * 8 || end <= index * 8 {
                continue;
            }
            let spare = 64_u32.saturating_sub(8 * u32::from(size));
            let value = pick(field.walk.start.known(regs, entry_args), bits) << (spare & 63) >> (spare & 63);
            match start.checked_sub(index * 8) {
                Some(inside) => word |= value << ((8 * inside) & 63),
                None => word |= value >> ((8 * (index * 8 - start)) & 63),
            }
        }
        word
    }
}

impl Subject for Unwritten<'_> {
    fn len(&self) -> usize {
        self.program.fixed_len
    }

    #[inline(always)]
    fn word_at(&self, index: usize) -> u64 {
        if let Some(word) = self.head.get(index) {
            return *word;
        }
        match self.program.plain() {
            Some(plain) => plain.get(self.regs, index - self.head.len()),
            None => self.program.known_word(index, self.regs, self.entry_args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Header, probe_class};
    use crate::fetch::{Comm, Env, Fault, Hit, SafeMemory};
    use crate::filter::Context;
    use crate::probe::{Command, LookupError, Resolver, Symbol, parse_line};
    use crate::symbolize::NoSymbols;
    use a64::UserRegs;
    use std::string::String;
    use std::vec::Vec;
    use std::{format, vec};

    struct World;

    impl SafeMemory for World {
        fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
            into.iter_mut().zip(address..).for_each(|(byte, at)| *byte = at as u8);
            Ok(())
        }
    }

    impl Resolver for World {
        fn lookup(&self, _: &str) -> Result<Symbol, LookupError> {
            Ok(Symbol { address: 0x1000, size: 64, entry_bytes: 8 })
        }

        fn is_function_entry(&self, _: u64) -> bool {
            false
        }
    }

    #[test]
    fn masks_have_the_units_that_bytes_lie_in() {
        assert_eq!(units(0, 8), 0b11);
        assert_eq!(units(4, 4), 0b10);
        assert_eq!(units(17, 8), 0b111_0000);
        assert_eq!(units(8, 0), 0);
        assert_eq!(units(62 * 4, 4), 1 << 62);
        assert_eq!(units(63 * 4, 8), BEYOND);
        assert_eq!(units(1000, 8), BEYOND);
        assert_eq!(units(0, 4000), u64::MAX);
    }

    /// Where a filter can be asked before the record is written, it says what it says of the record.
    #[test]
    fn what_is_known_before_is_what_is_recorded() {
        // What shares four bytes with something unknown counts as unknown.
        let programs = [
            ("a=%x0 b=%x1 c=%x2", &["a", "b", "c"][..], &[][..]),
            ("a=%x29:s64 b=%x1:u64 c=%x2:symbol d=%x3:s64", &["a", "b", "c", "d"], &[]),
            ("a=%x0:u8 b=%x1:s32 c=%x2 d=%x3:b4@2/16", &["a", "b", "c", "d"], &[]),
            ("a=%sp b=\\-7:s32 c=+0(%x1):u32 d=%x4", &["a", "b", "d"], &["c"]),
            ("a=$stack1 b=$comm c=%x5:x16 d=%x6", &["c", "d"], &["a"]),
            ("a=%x0:u16 b=+0(%x0):u8[3] c=%x2:u32 d=%x3", &["d"], &["a", "c"]),
        ];
        let mut regs = UserRegs { sp: 0x8000, ..UserRegs::default() };
        for n in 0..31 {
            regs.set_x(n, 0x0102_0304_8586_8788_u64.wrapping_mul(u64::from(n) + 1));
        }
        let (mut judged, mut short) = (0, 0);
        for (args, known, unknown) in programs {
            let Ok(Command::Define(probe)) = parse_line(&format!("p:t f {args}"), &World) else {
                panic!("{args}");
            };
            let program = Program::compile(&probe.args, 16, false).expect("fits");
            let class = probe_class(1, &probe);
            let env = Env { memory: &World, symbols: &NoSymbols };
            let hit = Hit { regs: (&regs).into(), comm: Comm::default(), entry_args: &[], env: &env };
            let head = [Header { id: 1, flags: 0x81, preempt_count: 3, pid: -77 }.to_word(), 0x1000];
            let mut record = vec![0; program.fixed_len() + program.text_len(&hit)];
            record[..16].copy_from_slice(&head.map(u64::to_le_bytes).concat());
            program.store(&hit, &mut record);
            let context = Context { cpu: 0, comm: &[0; 16] };
            let mut fields: Vec<_> = known.iter().map(|name| (*name, true)).collect();
            fields.extend(unknown.iter().map(|name| (*name, false)));
            let head_fields =
                ["common_type", "common_flags", "common_preempt_count", "common_pid", "__probe_ip", "cpu"];
            fields.extend(head_fields.map(|name| (name, true)));
            for (name, is_known) in fields {
                // The field's own value and its neighbours, so that each comparison goes both ways.
                let (at, size) = match class.field(name) {
                    Some(field) => (usize::from(field.offset), usize::from(field.size)),
                    None => (2, 1),
                };
                let mut raw = [0; 8];
                raw[..size].copy_from_slice(&record[at..at + size]);
                let value = u64::from_le_bytes(raw);
                let near =
                    [value.wrapping_sub(1), value, value.wrapping_add(1)].map(|with| format!("{with:#x}"));
                let far = ["0", "-1", "0x7f", "-128", "0x7fffffff", "-2147483648", "0xffffffff"];
                let ends = ["0x7fffffffffffffff", "-9223372036854775808", "0xffffffffffffffff"];
                let inside = [format!("{name}.function == f"), format!("{name}.function != f")];
                for with in near.iter().map(String::as_str).chain(far).chain(ends) {
                    let compared =
                        ["==", "!=", "<", "<=", ">", ">=", "&"].map(|op| format!("{name} {op} {with}"));
                    for text in compared.iter().chain(&inside) {
                        let Ok(filter) = Filter::compile(text, &class, &World, &NoSymbols) else { continue };
                        let unwritten = program.unwritten(&filter, &head, (&regs).into(), &[]);
                        assert_eq!(unwritten.is_some(), is_known, "{args}: {text}");
                        if let Some(unwritten) = unwritten {
                            let early = filter.accepts_unwritten(&unwritten, &context);
                            assert_eq!(early, filter.accepts(&record, &context), "{args}: {text}");
                            if let (Some(plain), Some(numbers)) = (program.plain(), filter.numbers()) {
                                assert_eq!(
                                    numbers.accept(&head, plain, (&regs).into()),
                                    early,
                                    "{args}: {text}"
                                );
                                short += 1;
                            }
                            judged += 1;
                        }
                    }
                }
            }
        }
        assert!(judged > 300 && short > 150, "{judged} {short}");
    }
}
