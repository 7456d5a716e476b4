//! The arguments of a call as text: `work_add(a=0x3e8, b=0xea)`, as Linux prints them for its tracers.

use super::{Place, Shape, TypeTable};
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// Bits of a register.
const WORD_BITS: u64 = 64;

impl TypeTable<'_> {
    /// Puts the arguments of the function that begins at `function`, commas between them, given what x0 and the registers
    /// behind it held at its entry. False, and nothing put, when nothing is known of it.
    ///
    /// Signed integers are decimal, everything else is hexadecimal; of a slice there are both words. Memory is not looked
    /// at: it is long after the call.
    pub fn show_arguments(&self, function: u64, registers: &[u64], out: &mut Vec<u8>) -> bool {
        let Some(function) = self.function(function) else { return false };
        let out = &mut Bytes(out);
        let register = |x: u8| registers.get(usize::from(x)).copied();
        let mut before = "";
        for param in function.params() {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{before}{}=", param.name);
            before = ", ";
            let _ = match param.place {
                Place::Register(x) => match register(x) {
                    Some(value) => out.value(value, self.core_shape(param.ty)),
                    None => out.write_str("?"),
                },
                Place::Pair(low, high) => match (register(low), register(high)) {
                    (Some(low), Some(high)) => write!(out, "{{0x{low:x},0x{high:x}}}"),
                    _ => out.write_str("?"),
                },
                Place::Memory(x) => match register(x) {
                    Some(address) => write!(out, "*0x{address:x}"),
                    None => out.write_str("?"),
                },
            };
        }
        true
    }
}

/// Text into bytes.
struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Bytes<'_> {
    /// What a register holds of a value of this shape: what lies above its size may be anything.
    fn value(&mut self, value: u64, shape: Option<Shape<'_>>) -> fmt::Result {
        let (size, signed) = match shape {
            Some(Shape::Int { size, signed }) => (size, signed),
            Some(Shape::Bool) => (1, false),
            Some(Shape::Char) => (4, false),
            Some(Shape::Opaque { size }) => (size, false),
            _ => (8, false),
        };
        let above = WORD_BITS.saturating_sub(size.saturating_mul(8)) % WORD_BITS;
        match signed {
            true => write!(self, "{}", (value << above) as i64 >> above),
            false => write!(self, "0x{:x}", value << above >> above),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode::{Function, Type, encode};
    use super::super::{Outcome, TypeId};
    use super::*;
    use std::string::String;
    use std::vec;

    #[test]
    fn arguments_are_shown_as_linux_does() {
        let int = |size, signed| Type::Int { size, signed };
        let types = [
            int(4, true),
            int(1, false),
            int(8, true),
            Type::Bool,
            Type::Pointer(TypeId(0)),
            Type::Text(16, 0, 8),
        ];
        let params = [
            ("dfd", 0, Place::Register(0)),
            ("small", 1, Place::Register(1)),
            ("big", 2, Place::Register(2)),
            ("flag", 3, Place::Register(3)),
            ("at", 4, Place::Register(4)),
            ("name", 5, Place::Pair(6, 5)),
            ("how", 4, Place::Memory(7)),
        ];
        let params = params.map(|(name, ty, place)| (name.into(), TypeId(ty), place)).into();
        let functions = vec![
            Function { start: 0x1000, result: Outcome::Nothing, params },
            Function { start: 0x2000, result: Outcome::Nothing, params: Vec::new() },
        ];
        let table = encode(functions, &types).expect("a table");
        let table = TypeTable::parse(&table).expect("a good table");
        let shown = |function, registers: &[u64]| {
            let mut text = Vec::new();
            let known = table.show_arguments(function, registers, &mut text);
            assert!(known || text.is_empty());
            known.then(|| String::from_utf8(text).expect("text"))
        };
        let registers = [0xffff_ff9c, 0x1ff, -5_i64 as u64, 0xff01, 0xffff_8000_0000_1000, 6, 5, 7];
        assert_eq!(
            shown(0x1000, &registers).as_deref(),
            Some("dfd=-100, small=0xff, big=-5, flag=0x1, at=0xffff800000001000, name={0x5,0x6}, how=*0x7")
        );
        let half = "dfd=1, small=?, big=?, flag=?, at=?, name=?, how=?";
        assert_eq!(shown(0x1000, &[1]).as_deref(), Some(half));
        assert_eq!(shown(0x2000, &registers).as_deref(), Some(""));
        assert_eq!(shown(0x1004, &registers), None);
    }
}
