//! Arithmetic: on numbers, as [`Scalar`] has it; on addresses, addition and subtraction.

use alloc::format;

use super::explore::Verifier;
use super::marks::Deps;
use super::mem::{FAR, check_writable};
use super::value::{Number, Pointer, Target, Value};
use super::why::Rule;
use super::{Fail, MapRef, Result, Scalar};
use crate::op::{Alu, Imm64, Operand, Order, Reg, Width};

impl Verifier<'_> {
    /// `dst op= src`
    pub(super) fn alu(&mut self, width: Width, alu: Alu, dst: Reg, src: Operand) -> Result<()> {
        let second = match src {
            Operand::Imm(imm) => Value::constant(imm as i64 as u64),
            Operand::Reg(reg) => self.read(reg)?,
        };
        if alu == Alu::Mov {
            check_writable(dst)?;
            return self.mov(width, dst, src, second);
        }
        let first = self.read(dst)?;
        check_writable(dst)?;
        let value = match (first, second) {
            (Value::Number(a), Value::Number(b)) => {
                let same = src == Operand::Reg(dst);
                if same && matches!(alu, Alu::Sub | Alu::Xor) {
                    Value::constant(0)
                } else {
                    Value::Number(combine(Scalar::alu(width, alu, &a.n, &b.n), a.deps.union(b.deps)))
                }
            }
            _ => self.pointer_alu(width, alu, dst, first, second)?,
        };
        self.state_mut().set(dst, value);
        Ok(())
    }

    fn mov(&mut self, width: Width, dst: Reg, src: Operand, value: Value) -> Result<()> {
        let value = match (width, src, value) {
            (Width::W64, Operand::Reg(reg), _) => {
                self.link(reg);
                self.read(reg)?
            }
            (Width::W64, Operand::Imm(_), value) => value,
            (Width::W32, Operand::Imm(imm), _) => Value::constant(u64::from(imm as u32)),
            (Width::W32, Operand::Reg(reg), Value::Number(number)) => {
                if number.n.bounds().1 <= u64::from(u32::MAX) {
                    self.link(reg);
                    self.read(reg)?
                } else {
                    Value::Number(combine(number.n.truncate(32), number.deps))
                }
            }
            // Half an address is a number.
            (Width::W32, ..) => Value::Number(combine(Scalar::UNKNOWN.truncate(32), Deps::NONE)),
        };
        self.state_mut().set(dst, value);
        Ok(())
    }

    /// A number is about to be copied: what is learned of one copy will be known of both.
    pub(super) fn link(&mut self, reg: Reg) {
        if let Value::Number(number) = *self.state().reg(reg)
            && number.id == 0
            && number.n.as_constant().is_none()
        {
            let id = self.fresh_id();
            self.state_mut().set(reg, Value::Number(Number { id, ..number }));
        }
    }

    /// `dst = (s8)src`
    pub(super) fn mov_sx(&mut self, width: Width, bits: u8, dst: Reg, src: Reg) -> Result<()> {
        let value = self.read(src)?;
        check_writable(dst)?;
        let number = match value {
            Value::Number(number) => combine(number.n.sign_extend(width, bits.into()), number.deps),
            _ => of_address(width),
        };
        self.state_mut().set(dst, Value::Number(number));
        Ok(())
    }

    /// `dst = -dst`
    pub(super) fn neg(&mut self, width: Width, dst: Reg) -> Result<()> {
        let value = self.read(dst)?;
        check_writable(dst)?;
        let number = match value {
            Value::Number(number) => combine(number.n.neg(width), number.deps),
            _ => of_address(width),
        };
        self.state_mut().set(dst, Value::Number(number));
        Ok(())
    }

    /// `dst = be16 dst`
    pub(super) fn end_order(&mut self, order: Order, bits: u8, dst: Reg) -> Result<()> {
        let value = self.read(dst)?;
        check_writable(dst)?;
        let number = match value {
            Value::Number(number) => combine(number.n.in_order(order, bits.into()), number.deps),
            _ => Number::of(Scalar::UNKNOWN.truncate(bits.into())),
        };
        self.state_mut().set(dst, Value::Number(number));
        Ok(())
    }

    fn pointer_alu(
        &mut self,
        width: Width,
        alu: Alu,
        dst: Reg,
        first: Value,
        second: Value,
    ) -> Result<Value> {
        let bad = |reason| Err(Fail::here(Rule::Arithmetic, reason));
        let name = dst.number();
        if width == Width::W32 {
            // As Linux has it: a difference of addresses is a number, whatever it means.
            if alu == Alu::Sub {
                return Ok(Value::Number(Number::of(Scalar::UNKNOWN.truncate(32))));
            }
            return bad(format!("R{name} 32-bit pointer arithmetic prohibited"));
        }
        let (pointer, number) = match (first, second) {
            (Value::Pointer(_), Value::Pointer(_)) if alu == Alu::Sub => return Ok(Value::UNKNOWN),
            (Value::Pointer(_), Value::Pointer(_)) => {
                return bad(format!("R{name} pointer {} pointer prohibited", alu.sign()));
            }
            (Value::Pointer(pointer), Value::Number(number)) => (pointer, number),
            (Value::Number(number), Value::Pointer(pointer)) if alu == Alu::Add => (pointer, number),
            (Value::Number(_), Value::Pointer(_)) if alu == Alu::Sub => {
                return bad(format!("R{name} tried to subtract pointer from scalar"));
            }
            _ => return bad(format!("R{name} pointer arithmetic with {} operator prohibited", alu.sign())),
        };
        match alu {
            Alu::Add => {}
            Alu::Sub if matches!(pointer.to, Target::Stack(_)) => {
                return bad(format!("R{name} subtraction from stack pointer prohibited"));
            }
            Alu::Sub => {}
            Alu::And | Alu::Or | Alu::Xor => {
                return bad(format!("R{name} bitwise operator {} on pointer prohibited", alu.sign()));
            }
            _ => return bad(format!("R{name} pointer arithmetic with {} operator prohibited", alu.sign())),
        }
        let what = self.kind_of(&Value::Pointer(pointer));
        if pointer.null {
            let reason = format!("R{name} pointer arithmetic on {what} prohibited, null-check it first");
            return Err(Fail::here(Rule::Null, reason));
        }
        let nothing = number.n.as_constant() == Some(0);
        if matches!(pointer.to, Target::Map(_) | Target::Function(_)) && !nothing {
            return bad(format!("R{name} pointer arithmetic on {what} prohibited"));
        }
        let (least, most) = number.n.signed_bounds();
        match number.n.as_constant() {
            Some(_) if least <= -FAR || least >= FAR => {
                return bad(format!("math between {what} pointer and {least} is not allowed"));
            }
            Some(_) => {}
            None if least == i64::MIN => {
                return bad(format!(
                    "math between {what} pointer and register with unbounded min value is not allowed"
                ));
            }
            None if least >= FAR || least <= -FAR || alu == Alu::Sub && most >= FAR => {
                return bad(format!("value {least} makes {what} pointer be out of bounds"));
            }
            None => {}
        }
        self.demand_number(&number);
        let off = Scalar::alu(Width::W64, alu, &pointer.off, &number.n);
        let least = off.signed_bounds().0;
        if least <= -FAR || least >= FAR {
            return bad(format!("value {least} makes {what} pointer be out of bounds"));
        }
        Ok(Value::Pointer(Pointer { off, ..pointer }))
    }

    /// `dst = imm ll`
    pub(super) fn immediate(&mut self, at: usize, dst: Reg, imm: Imm64) -> Result<()> {
        check_writable(dst)?;
        let value = match imm {
            Imm64::Value(value) => Value::constant(value),
            Imm64::Map(fd) => Value::pointer(Target::Map(self.map(MapRef::Fd(fd))?)),
            Imm64::MapIndex(n) => Value::pointer(Target::Map(self.map(MapRef::Index(n))?)),
            Imm64::MapValue { map, off } => self.map_value(MapRef::Fd(map), off)?,
            Imm64::MapIndexValue { map, off } => self.map_value(MapRef::Index(map), off)?,
            Imm64::Var(_) => {
                let reason = format!("insn {at}: there are no variables of the platform");
                return Err(Fail::here(Rule::Structure, reason));
            }
            Imm64::Code(_) => match self.flow.insn(at).and_then(|insn| insn.target) {
                Some(function) => Value::pointer(Target::Function(function as u32)),
                None => Value::UNKNOWN,
            },
        };
        self.state_mut().set(dst, value);
        Ok(())
    }

    fn map_value(&mut self, name: MapRef, off: u32) -> Result<Value> {
        let map = self.map(name)?;
        let def = self.def(map)?;
        if def.kind != crate::map::MapKind::Array || def.max_entries != 1 {
            let reason = format!(
                "direct access to a value of a map of type {}, with {} entries",
                def.kind.name(),
                def.max_entries
            );
            return Err(Fail::here(Rule::Map, reason));
        }
        if off >= def.value_size {
            let reason =
                format!("invalid access to map value pointer, value_size={} off={off}", def.value_size);
            return Err(Fail::here(Rule::Bounds, reason));
        }
        Ok(Value::Pointer(Pointer::at(Target::Value(map), off.into())))
    }
}

/// A number that was computed from others. One of which nothing is known depends on nothing.
fn combine(n: Scalar, deps: Deps) -> Number {
    let deps = if n == Scalar::UNKNOWN { Deps::NONE } else { deps };
    Number { n, id: 0, deps }
}

/// What becomes of an address when it is made a number.
fn of_address(width: Width) -> Number {
    Number::of(if width == Width::W32 { Scalar::UNKNOWN.truncate(32) } else { Scalar::UNKNOWN })
}
