//! Loads, stores and atomics: is there something, is all of it there, may it be written, and what comes out.
//!
//! | target | offset | result of a load |
//! |---|---|---|
//! | context | known | what the table of the context says; the access goes where that really is |
//! | stack | known, or within bounds if all of that was written | what was stored |
//! | value, key, memory, record | within bounds | a number |
//! | kernel | known | a number, or a pointer by the type's table; a fault gives 0 |
//!
//! On the stack everything lies at a multiple of its size, and so do atomics everywhere; other accesses need not, as
//! the machine does not mind.

use alloc::format;
use alloc::string::String;

use super::explore::{Use, Verifier};
use super::value::{Number, Pointer, Target, Value};
use super::why::Rule;
use super::{Fail, Result, Scalar};
use crate::kind::Gives;
use crate::map::{SPIN_LOCK_BYTES, TIMER_BYTES, flag};
use crate::op::{Atomic, Operand, Reg, Size, Width};
use crate::types::{Shape, TypeId};

/// Offsets beyond this are as good as unbounded.
pub(super) const FAR: i64 = 1 << 29;

/// Who accesses, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A load.
    Load,
    /// A store.
    Store,
    /// A helper reads.
    HelperReads,
    /// A helper writes.
    HelperWrites,
}

impl Way {
    pub(super) const fn writes(self) -> bool {
        matches!(self, Self::Store | Self::HelperWrites)
    }

    pub(super) const fn helper(self) -> bool {
        matches!(self, Self::HelperReads | Self::HelperWrites)
    }
}

impl Verifier<'_> {
    /// The pointer in a register, through which something is accessed.
    fn base(&self, reg: Reg) -> Result<Pointer> {
        match self.read(reg)? {
            Value::Pointer(pointer) if !pointer.null => Ok(pointer),
            Value::Pointer(pointer) => {
                let name = self.kind_of(&Value::Pointer(pointer));
                Err(Fail::here(Rule::Null, format!("R{} invalid mem access '{name}'", reg.number())))
            }
            _ => Err(Fail::here(Rule::Pointer, format!("R{} invalid mem access 'scalar'", reg.number()))),
        }
    }

    /// `dst = *(size *)(src + off)`
    pub(super) fn load(
        &mut self,
        at: usize,
        size: Size,
        signed: bool,
        dst: Reg,
        src: Reg,
        off: i16,
    ) -> Result<()> {
        check_writable(dst)?;
        let pointer = self.base(src)?;
        let value = match pointer.to {
            Target::Context => {
                let gives = self.context(at, src, &pointer, off, size, false)?;
                match gives {
                    Gives::Number => Value::Number(Number::loaded(size, signed)),
                    Gives::Pointer(ty) => Value::pointer(Target::Kernel(ty)),
                }
            }
            Target::Kernel(ty) => {
                self.used(at, src, Use::Kernel)?;
                self.load_kernel(src, &pointer, ty, off, size, signed)?
            }
            Target::Stack(frame) => {
                self.used(at, src, Use::Other)?;
                self.load_stack(src, &pointer, frame.into(), off, size, signed)?
            }
            _ => {
                self.used(at, src, Use::Other)?;
                self.check_region(src, &pointer, off.into(), size.bytes() as i64, Way::Load)?;
                self.known(&pointer, off, size, signed)?
                    .unwrap_or(Value::Number(Number::loaded(size, signed)))
            }
        };
        self.state_mut().set(dst, value);
        Ok(())
    }

    /// `*(size *)(dst + off) = src`
    pub(super) fn store(&mut self, at: usize, size: Size, dst: Reg, off: i16, src: Operand) -> Result<()> {
        let pointer = self.base(dst)?;
        let value = match src {
            Operand::Imm(imm) => Value::constant(imm as i64 as u64),
            Operand::Reg(reg) => {
                self.read(reg)?;
                if matches!(pointer.to, Target::Stack(_)) {
                    self.link(reg);
                }
                self.read(reg)?
            }
        };
        match pointer.to {
            Target::Context => {
                self.context(at, dst, &pointer, off, size, true)?;
            }
            Target::Stack(frame) => {
                self.used(at, dst, Use::Other)?;
                self.store_stack(dst, &pointer, frame.into(), off, size, value)?;
            }
            _ => {
                self.used(at, dst, Use::Other)?;
                self.check_region(dst, &pointer, off.into(), size.bytes() as i64, Way::Store)?;
            }
        }
        Ok(())
    }

    /// `lock *(width *)(dst + off) …= src`
    pub(super) fn atomic(
        &mut self,
        at: usize,
        width: Width,
        atomic: Atomic,
        dst: Reg,
        off: i16,
        src: Reg,
    ) -> Result<()> {
        let size = if width == Width::W64 { Size::Dw } else { Size::W };
        let pointer = self.base(dst)?;
        self.read(src)?;
        if atomic == Atomic::Cmpxchg {
            self.read(Reg::R0)?;
        }
        self.used(at, dst, Use::Other)?;
        let result = atomic.result(src);
        if let Some(result) = result {
            check_writable(result)?;
        }
        match pointer.to {
            Target::Stack(frame) => {
                self.load_stack(dst, &pointer, frame.into(), off, size, false)?;
                self.store_stack(dst, &pointer, frame.into(), off, size, Value::UNKNOWN)?;
            }
            Target::Value(_) | Target::Memory(_) | Target::Record(_) => {
                check_aligned(&pointer, off, size)?;
                self.check_region(dst, &pointer, off.into(), size.bytes() as i64, Way::Load)?;
                self.check_region(dst, &pointer, off.into(), size.bytes() as i64, Way::Store)?;
            }
            _ => {
                let name = self.kind_of(&Value::Pointer(pointer));
                let reason = format!("BPF_ATOMIC stores into R{} {name} is not allowed", dst.number());
                return Err(Fail::here(Rule::ReadOnly, reason));
            }
        }
        if let Some(result) = result {
            self.state_mut().set(result, Value::Number(Number::loaded(size, false)));
        }
        Ok(())
    }

    /// Notes what the instruction accesses; two kinds that are compiled differently do not go together.
    fn used(&mut self, at: usize, reg: Reg, now: Use) -> Result<()> {
        let Some(before) = self.uses.get_mut(at) else { return Ok(()) };
        if *before == Use::None {
            *before = now;
        }
        if *before != now {
            let reason = format!(
                "same insn cannot be used with different pointers: R{} is another one on another path",
                reg.number()
            );
            return Err(Fail::here(Rule::Pointer, reason));
        }
        Ok(())
    }

    fn context(
        &mut self,
        at: usize,
        reg: Reg,
        pointer: &Pointer,
        off: i16,
        size: Size,
        write: bool,
    ) -> Result<Gives> {
        let Some(base) = pointer.fixed() else {
            let reason = format!("variable ctx access R{} off={off} size={}", reg.number(), size.bytes());
            return Err(Fail::here(Rule::Context, reason));
        };
        let bytes = size.bytes() as u32;
        let sum = base.saturating_add(off.into());
        let (gives, real) = self.input.context.access(sum, bytes, write).map_err(|bad| {
            let name = self.input.context.name;
            Fail::here(
                Rule::Context,
                format!("invalid bpf_context access off={sum} size={bytes} in {name}: {bad}"),
            )
        })?;
        // The access goes where the field is; the register stays as it is.
        let Ok(new) = i16::try_from(i64::from(real).saturating_sub(base)) else {
            let reason =
                format!("invalid bpf_context access off={sum}: the offset in R{} is too far", reg.number());
            return Err(Fail::here(Rule::Context, reason));
        };
        self.used(at, reg, Use::Context(new))?;
        self.context_bytes = self.context_bytes.max(real.saturating_add(bytes));
        Ok(gives)
    }

    fn load_kernel(
        &mut self,
        reg: Reg,
        pointer: &Pointer,
        ty: TypeId,
        off: i16,
        size: Size,
        signed: bool,
    ) -> Result<Value> {
        let Some(base) = pointer.fixed() else {
            let name = self.kind_of(&Value::Pointer(*pointer));
            let reason = format!("R{} is {name} invalid variable offset", reg.number());
            return Err(Fail::here(Rule::Bounds, reason));
        };
        let types = self.input.types;
        let sum = base.saturating_add(off.into());
        let len = size.bytes() as u64;
        // What is not known of a type is not refused: every such load may fault, and then gives 0.
        let Some(whole) = types.size(ty) else { return Ok(Value::Number(Number::loaded(size, signed))) };
        let inside =
            u64::try_from(sum).ok().filter(|from| from.checked_add(len).is_some_and(|to| to <= whole));
        let Some(inside) = inside else {
            let name = types.name(ty).unwrap_or("?");
            let reason = format!("access beyond struct {name} at off {sum} size {len}");
            return Err(Fail::here(Rule::Bounds, reason));
        };
        Ok(match pointer_at(types, ty, inside) {
            Some(to) if size == Size::Dw => Value::pointer(Target::Kernel(to)),
            _ => Value::Number(Number::loaded(size, signed)),
        })
    }

    /// What a load of memory that never changes gives.
    fn known(&self, pointer: &Pointer, off: i16, size: Size, signed: bool) -> Result<Option<Value>> {
        let (Target::Value(map), Some(base)) = (pointer.to, pointer.fixed()) else { return Ok(None) };
        let Some(bytes) = self.constant_value(map) else { return Ok(None) };
        let from = usize::try_from(base.saturating_add(off.into())).ok();
        let Some(bytes) = from.and_then(|from| bytes.get(from..)?.get(..size.bytes())) else {
            return Ok(None);
        };
        let mut all = [0; 8];
        all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let number = Number::constant(u64::from_le_bytes(all));
        Ok(Some(Value::Number(number.truncated(size, signed))))
    }

    /// The bytes of a map's value that never changes.
    pub(super) fn constant_value(&self, map: u32) -> Option<&[u8]> {
        self.input.maps.constant(self.maps.get(map as usize)?.name?)
    }

    /// Checks an access to memory that has a size.
    pub(super) fn check_region(
        &self,
        reg: Reg,
        pointer: &Pointer,
        off: i64,
        len: i64,
        way: Way,
    ) -> Result<()> {
        let (size, what, size_name, writable) = match pointer.to {
            Target::Value(map) => {
                let def = self.def(map)?;
                let (forbidden, verb) = if way.writes() {
                    (flag::RDONLY_PROG, "write into")
                } else {
                    (flag::WRONLY_PROG, "read from")
                };
                if def.flags & forbidden != 0 {
                    let reason =
                        format!("{verb} map forbidden, value_size={} off={off} size={len}", def.value_size);
                    return Err(Fail::here(Rule::ReadOnly, reason));
                }
                (def.value_size, "map value", "value_size", true)
            }
            Target::Key(map) => (self.def(map)?.key_size, "map key", "key_size", false),
            Target::Memory(len) | Target::Record(len) => (len, "memory", "mem_size", true),
            Target::Context | Target::Stack(_) | Target::Map(_) | Target::Kernel(_) | Target::Function(_) => {
                let name = self.kind_of(&Value::Pointer(*pointer));
                let rule = if way.writes() { Rule::ReadOnly } else { Rule::Pointer };
                return Err(Fail::here(rule, format!("R{} invalid mem access '{name}'", reg.number())));
            }
        };
        if way.writes() && !writable {
            let reason = format!("R{} cannot write into {what}", reg.number());
            return Err(Fail::here(Rule::ReadOnly, reason));
        }
        let (least, most) = pointer.off.signed_bounds();
        let (from, to) =
            (i128::from(least) + i128::from(off), i128::from(most) + i128::from(off) + i128::from(len));
        let bad = |reason: String| Err(Fail::here(Rule::Bounds, reason));
        let number = reg.number();
        if from < 0 || to > size.into() {
            if let Some(base) = pointer.fixed() {
                let at = base.saturating_add(off);
                return bad(format!("invalid access to {what}, {size_name}={size} off={at} size={len}"));
            }
            if from < 0 {
                return bad(format!(
                    "R{number} min value is negative, either use unsigned index or do a if (index >=0) check."
                ));
            }
            if most >= FAR {
                return bad(format!(
                    "R{number} unbounded memory access, make sure to bounds check any such access"
                ));
            }
            return bad(format!(
                "R{number} max value is outside of the allowed memory range: {what} of {size} bytes, accessed up to {to}"
            ));
        }
        if let Target::Value(map) = pointer.to {
            self.check_special(map, from, to, way)?;
        }
        Ok(())
    }

    /// Locks and timers in a value are not accessed as memory.
    fn check_special(&self, map: u32, from: i128, to: i128, way: Way) -> Result<()> {
        let special = self.def(map)?.special;
        let fields =
            [("spin_lock", special.spin_lock, SPIN_LOCK_BYTES), ("timer", special.timer, TIMER_BYTES)];
        for (name, at, len) in fields {
            if let Some(at) = at
                && from < i128::from(at) + i128::from(len)
                && i128::from(at) < to
            {
                let how = if way.helper() { "indirectly by helper" } else { "directly by load/store" };
                return Err(Fail::here(Rule::ReadOnly, format!("bpf_{name} cannot be accessed {how}")));
            }
        }
        Ok(())
    }
}

/// The pointer that lies at an offset of a type, and what it points to.
fn pointer_at(types: &dyn crate::types::Types, mut ty: TypeId, mut off: u64) -> Option<TypeId> {
    /// Types within each other; a table that is damaged may go round in circles.
    const DEPTH: usize = 16;
    for _ in 0..DEPTH {
        match types.shape(ty)? {
            Shape::Pointer { to } if off == 0 => return Some(to),
            Shape::Array { of, .. } => {
                off = off.checked_rem(types.size(of)?)?;
                ty = of;
            }
            Shape::Struct => {
                let mut found = None;
                types.members(ty, &mut |member| {
                    let at = member.bit_offset / 8;
                    let len = types.size(member.ty).unwrap_or(0);
                    if member.bits == 0 && at <= off && off < at.saturating_add(len) {
                        found = Some((member.ty, off - at));
                    }
                });
                (ty, off) = found?;
            }
            _ => return None,
        }
    }
    None
}

/// r10 is not written.
pub(super) fn check_writable(reg: Reg) -> Result<()> {
    if reg == Reg::R10 {
        return Err(Fail::here(Rule::ReadOnly, String::from("frame pointer is read only")));
    }
    Ok(())
}

/// Does the access lie at a multiple of its size?
pub(super) fn check_aligned(pointer: &Pointer, off: i16, size: Size) -> Result<()> {
    let sum =
        Scalar::alu(Width::W64, crate::op::Alu::Add, &pointer.off, &Scalar::constant(i64::from(off) as u64));
    let low = size.bytes() as u64 - 1;
    if sum.bits().max() & low != 0 {
        let what = if matches!(pointer.to, Target::Stack(_)) { "stack access" } else { "atomic access" };
        let at = match pointer.fixed() {
            Some(base) => format!("{}", base.saturating_add(off.into())),
            None => format!("variable+{off}"),
        };
        return Err(Fail::here(Rule::Aligned, format!("misaligned {what} off {at} size {}", size.bytes())));
    }
    Ok(())
}
