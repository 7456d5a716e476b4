//! Contexts: what a program is given in r1, and what of it it may access.
//!
//! A program sees a context as Linux lays it out, `struct pt_regs` at a kprobe. Where the registers really lie depends on the
//! way in: an exception saves all, a patched branch those that mean something at a call. So a [`Context`] is a table of
//! [`Field`]s: what a program calls it, where it reads it, where it is. A field that is nowhere was not saved, and a read of it
//! is refused. Some contexts are only known at load: the fields of a tracepoint's record, the arguments of a function.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem::offset_of;

use a64::CallRegs;

use super::Attach;
use crate::types::TypeId;

/// What a read of a field gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// A number.
    Number,
    /// The address of something of the kernel's. A load through it may fault, and then gives 0.
    Pointer(TypeId),
}

/// A part of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is called.
    pub name: Cow<'static, str>,
    /// Where a program reads it.
    pub off: u32,
    /// How long it is.
    pub size: u32,
    /// Where it is; nowhere if the way in does not save it.
    pub at: Option<u32>,
    /// What it holds.
    pub gives: Gives,
    /// Can parts of it be read, too?
    pub parts: bool,
    /// Can it be written?
    pub write: bool,
}

impl Field {
    /// A number that is where it is read.
    pub fn number(name: impl Into<Cow<'static, str>>, off: u32, size: u32) -> Self {
        let (gives, at) = (Gives::Number, Some(off));
        Self { name: name.into(), off, size, at, gives, parts: true, write: false }
    }
}

/// What stands in the registers when a program begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// r1: the context.
    Context,
    /// r1: memory of this length, to read and write; r2: its length.
    Memory(u32),
    /// r1: memory; r2: its length. How much a program needs is found by looking
    /// ([`Verified::context_bytes`](crate::verify::Verified)); who runs it has to bring so much.
    SomeMemory,
}

/// What a program is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// What it is called.
    pub name: &'static str,
    /// How the program is attached.
    pub attach: Attach,
    /// What stands in the registers.
    pub start: Start,
    /// Its parts, in the order of their offsets.
    fields: Vec<Field>,
}

/// An access that is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadAccess {
    /// Nothing lies there, or less, or it is cut in the middle.
    Outside,
    /// Only the whole of this field can be read.
    Part(String),
    /// This one cannot be written.
    ReadOnly(String),
    /// This register is not there; these ways to attach have it.
    NotSaved {
        /// Its name.
        register: String,
        /// Who has it, in words.
        others: String,
    },
}

impl fmt::Display for BadAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str("nothing lies there that a program could access"),
            Self::Part(name) => write!(f, "`{name}` can only be read as a whole"),
            Self::ReadOnly(name) => write!(f, "`{name}` cannot be written"),
            Self::NotSaved { register, others } if others.is_empty() => {
                write!(f, "register {register} is not saved here")
            }
            Self::NotSaved { register, others } => {
                write!(f, "register {register} is not saved here; programs attached as {others} have it")
            }
        }
    }
}

/// How long Linux's `struct pt_regs` is, as far as programs see it: `user_pt_regs`.
pub const PT_REGS_BYTES: u32 = 34 * 8;
/// The most arguments that a function's program gets.
pub const MAX_ARGS: usize = 12;
/// The longest record of a tracepoint, as in Linux (`PERF_MAX_TRACE_SIZE`).
pub const MAX_RECORD: u32 = 8192;
/// The most memory that a program can be run on.
pub const MAX_MEMORY: u32 = 1 << 20;
/// Bytes at the start of a tracepoint's record that are the recorder's own.
const RECORD_HEAD: u32 = 8;

/// Names of the registers in the order of `user_pt_regs`.
fn register_name(n: u32) -> Cow<'static, str> {
    match n {
        0..=30 => format!("x{n}").into(),
        31 => "sp".into(),
        32 => "pc".into(),
        _ => "pstate".into(),
    }
}

/// Which registers a way in saves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saves {
    /// All, as an exception does.
    All,
    /// Those of a call, at a function's entry.
    Entry,
    /// The same without the link register, which at a return is gone.
    Return,
}

impl Saves {
    /// Where register `n` of `user_pt_regs` lies.
    fn at(self, n: u32) -> Option<u32> {
        let in_call = match n {
            0..=8 => offset_of!(CallRegs, x) as u32 + n * 8,
            29 => offset_of!(CallRegs, fp) as u32,
            30 if self == Self::Entry => offset_of!(CallRegs, lr) as u32,
            31 => offset_of!(CallRegs, sp) as u32,
            32 => offset_of!(CallRegs, pc) as u32,
            _ if self == Self::All => 0,
            _ => return None,
        };
        Some(if self == Self::All { n * 8 } else { in_call })
    }

    fn of(attach: Attach) -> Option<Self> {
        Some(match attach {
            Attach::Kprobe | Attach::PerfEvent => Self::All,
            Attach::KprobeMulti | Attach::FprobeEntry => Self::Entry,
            Attach::Kretprobe | Attach::KretprobeMulti | Attach::FprobeExit => Self::Return,
            _ => return None,
        })
    }
}

/// The ways to attach at which register `n` of `user_pt_regs` is there, in words.
fn who_has(n: u32) -> String {
    let mut all = String::new();
    for attach in Attach::ALL {
        if Saves::of(attach).and_then(|saves| saves.at(n)).is_some() {
            if !all.is_empty() {
                all.push_str(", ");
            }
            all.push_str(attach.name());
        }
    }
    all
}

impl Context {
    fn new(name: &'static str, attach: Attach, fields: Vec<Field>) -> Self {
        Self { name, attach, start: Start::Context, fields }
    }

    /// What such a program is given when nothing more is known of what it is attached to: no arguments, no record.
    pub fn of(attach: Attach) -> Self {
        match attach {
            Attach::Kprobe | Attach::Kretprobe | Attach::KprobeMulti | Attach::KretprobeMulti => {
                Self::new("pt_regs", attach, registers(attach))
            }
            Attach::PerfEvent => {
                let mut fields = registers(attach);
                fields.push(Field::number("sample_period", PT_REGS_BYTES, 8));
                fields.push(Field::number("addr", PT_REGS_BYTES + 8, 8));
                Self::new("bpf_perf_event_data", attach, fields)
            }
            Attach::FprobeEntry | Attach::FprobeExit => {
                Self::new("ftrace_regs", attach, call_registers(attach))
            }
            Attach::Tracepoint => Self::record(MAX_RECORD),
            Attach::RawTracepoint => Self::arguments(attach, &[Gives::Number; MAX_ARGS], None),
            Attach::Fentry | Attach::Fexit | Attach::FmodRet | Attach::TpBtf => {
                Self::arguments(attach, &[], None)
            }
            Attach::Syscall => {
                let all = Field { write: true, ..Field::number("memory", 0, MAX_MEMORY) };
                let context = Self::new("memory", attach, [all].into());
                Self { start: Start::SomeMemory, ..context }
            }
        }
    }

    /// Memory of a length that is known: r1 points to it, and r2 is its length.
    pub fn memory(len: u32) -> Self {
        Self { start: Start::Memory(len), ..Self::of(Attach::Syscall) }
    }

    /// A tracepoint's record of so many bytes, of which the first eight are not the program's.
    pub fn record(bytes: u32) -> Self {
        let len = bytes.min(MAX_RECORD).saturating_sub(RECORD_HEAD);
        let fields = [Field::number("record", RECORD_HEAD, len)].into();
        Self::new("record", Attach::Tracepoint, fields)
    }

    /// A tracepoint's record with its fields, by name.
    pub fn record_of(mut fields: Vec<Field>) -> Self {
        fields.retain(|field| field.off >= RECORD_HEAD);
        fields.sort_by_key(|field| field.off);
        Self::new("record", Attach::Tracepoint, fields)
    }

    /// The arguments of a function or tracepoint, 8 bytes each, and the result behind them where the program has one.
    pub fn arguments(attach: Attach, args: &[Gives], result: Option<Gives>) -> Self {
        let has_result = matches!(attach, Attach::Fexit | Attach::FmodRet);
        let args = args.iter().take(MAX_ARGS).enumerate().map(|(n, gives)| (format!("arg{n}"), *gives));
        let result = result.filter(|_| has_result).map(|gives| (String::from("result"), gives));
        let field = |(n, (name, gives)): (usize, (String, Gives))| Field {
            gives,
            parts: gives == Gives::Number,
            ..Field::number(name, n as u32 * 8, 8)
        };
        Self::new("arguments", attach, args.chain(result).enumerate().map(field).collect())
    }

    /// Its parts, in the order of their offsets.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// What is accessed at `off`, and where that really is.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn access(&self, off: i64, size: u32, write: bool) -> Result<(Gives, u32), BadAccess> {
        let Ok(off) = u32::try_from(off) else { return Err(BadAccess::Outside) };
        let n = self.fields.partition_point(|field| field.off <= off);
        let field = n.checked_sub(1).and_then(|n| self.fields.get(n)).ok_or(BadAccess::Outside)?;
        let inside = off - field.off;
        let end = inside.checked_add(size).ok_or(BadAccess::Outside)?;
        if end > field.size || !off.is_multiple_of(size.max(1)) {
            return Err(BadAccess::Outside);
        }
        let Some(at) = field.at else {
            let others =
                if self.has_registers() { who_has(register_number(&field.name)) } else { String::new() };
            return Err(BadAccess::NotSaved { register: field.name.clone().into(), others });
        };
        if write && !field.write {
            return Err(BadAccess::ReadOnly(field.name.clone().into()));
        }
        if !field.parts && size != field.size {
            return Err(BadAccess::Part(field.name.clone().into()));
        }
        Ok((field.gives, at + inside))
    }

    fn has_registers(&self) -> bool {
        Saves::of(self.attach).is_some()
    }
}

/// The registers as a program reads them in `struct pt_regs`.
fn registers(attach: Attach) -> Vec<Field> {
    let saves = Saves::of(attach).unwrap_or(Saves::All);
    let field = |n| Field { at: saves.at(n), ..Field::number(register_name(n), n * 8, 8) };
    (0..PT_REGS_BYTES / 8).map(field).collect()
}

/// The registers of a call as they lie there.
fn call_registers(attach: Attach) -> Vec<Field> {
    let entry = Saves::Entry;
    let saves = Saves::of(attach).unwrap_or(entry);
    let field = |n| {
        let off = entry.at(n)?;
        Some(Field { at: saves.at(n), ..Field::number(register_name(n), off, 8) })
    };
    let mut fields: Vec<Field> = (0..PT_REGS_BYTES / 8).filter_map(field).collect();
    fields.sort_by_key(|field| field.off);
    fields
}

/// The number in `user_pt_regs` of a register.
fn register_number(name: &str) -> u32 {
    (0..PT_REGS_BYTES / 8).find(|n| register_name(*n) == name).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_exception_has_all_registers_where_they_are_read() {
        let context = Context::of(Attach::Kprobe);
        for off in (0..PT_REGS_BYTES).step_by(8) {
            assert_eq!(context.access(off.into(), 8, false), Ok((Gives::Number, off)));
            assert_eq!(context.access(i64::from(off) + 4, 4, false), Ok((Gives::Number, off + 4)));
            assert!(context.access(off.into(), 8, true).is_err());
        }
        for (off, size) in [(-8, 8), (PT_REGS_BYTES.into(), 8), (4, 8), (7, 2), (i64::MAX, 8), (i64::MIN, 1)]
        {
            assert_eq!(context.access(off, size, false), Err(BadAccess::Outside), "{off} {size}");
        }
    }

    #[test]
    fn a_branch_has_those_of_a_call_elsewhere() {
        let context = Context::of(Attach::KprobeMulti);
        let at = |off| context.access(off, 8, false);
        assert_eq!(at(8), Ok((Gives::Number, 8)));
        assert_eq!(at(256), Ok((Gives::Number, offset_of!(CallRegs, pc) as u32)));
        assert_eq!(at(30 * 8), Ok((Gives::Number, offset_of!(CallRegs, lr) as u32)));
        assert_eq!(
            at(19 * 8).unwrap_err().to_string(),
            "register x19 is not saved here; programs attached as kprobe, perf_event have it"
        );
        let returned = Context::of(Attach::KretprobeMulti);
        assert_eq!(
            returned.access(240, 8, false).unwrap_err().to_string(),
            "register x30 is not saved here; programs attached as kprobe, kprobe.multi, fprobe, perf_event have it"
        );
        let native = Context::of(Attach::FprobeExit);
        assert!(native.access(offset_of!(CallRegs, lr) as i64, 8, false).is_err());
        assert!(native.access(offset_of!(CallRegs, link) as i64, 8, false).is_err());
        let pc = offset_of!(CallRegs, pc) as u32;
        assert_eq!(native.access(pc.into(), 8, false), Ok((Gives::Number, pc)));
    }

    #[test]
    fn arguments_and_records() {
        let ty = Gives::Pointer(TypeId(7));
        let context = Context::arguments(Attach::Fexit, &[ty, Gives::Number], Some(Gives::Number));
        assert_eq!(context.access(0, 8, false), Ok((ty, 0)));
        assert_eq!(context.access(0, 4, false), Err(BadAccess::Part("arg0".into())));
        assert_eq!(context.access(8, 4, false), Ok((Gives::Number, 8)));
        assert_eq!(context.access(16, 8, false), Ok((Gives::Number, 16)));
        assert_eq!(context.access(24, 8, false), Err(BadAccess::Outside));
        let record = Context::record(24);
        assert_eq!(record.access(0, 8, false), Err(BadAccess::Outside));
        assert_eq!(record.access(20, 4, false), Ok((Gives::Number, 20)));
        assert_eq!(record.access(24, 1, false), Err(BadAccess::Outside));
    }
}
