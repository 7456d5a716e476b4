//! The words of a `bpf map` line.
//!
//! ```text
//!   name counts   key hex 01 00 00 00   value 5 0 0 0 0 0 0 0   noexist
//!   ╰── map ──╯   ╰───── data ──────╯   ╰────── data ───────╯
//! ```
//!
//! A byte is a number as C writes it (`10`, `0x0a`, `012`), behind `hex` two hexadecimal digits. How many there are the map
//! knows.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::map::{ANY, EXIST, MapKind, NOEXIST};
use sh::Ctx;
use tracecore::errno::Errno;

use super::Failure;
use crate::arch::cpu;
use crate::bpf::maps::{self, Entry};
use crate::bpf::prog::{self, Prog};
use crate::fs::bpffs;

/// The words that are left.
pub(super) struct Words<'a>(&'a [&'a str]);

/// An element as it was written down.
#[derive(Default)]
pub(super) struct Written {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Value>,
    pub(super) flags: u64,
}

/// A value.
pub(super) enum Value {
    Bytes(Vec<u8>),
    Map(Arc<Entry>),
    Prog(Arc<Prog>),
}

/// A number as C writes it.
fn number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u64::from_str_radix(digits, 8).ok(),
        _ => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
    }
}

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [&'a str]) -> Self {
        Self(words)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.0.first().copied()
    }

    pub(super) fn next(&mut self) -> Result<&'a str, Failure> {
        let (first, rest) =
            self.0.split_first().ok_or_else(|| Failure::word(String::from("expected another argument")))?;
        self.0 = rest;
        Ok(first)
    }

    /// There must be no more.
    pub(super) fn end(&self) -> Result<(), Failure> {
        match self.peek() {
            Some(word) => Err(Failure::word(format!("did not expect '{word}'"))),
            None => Ok(()),
        }
    }

    pub(super) fn number(&mut self, what: &str) -> Result<u32, Failure> {
        let word = self.next()?;
        let number = number(word).and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| Failure::word(format!("can't parse {what}: {word}")))
    }

    /// All maps of a name.
    pub(super) fn named_maps(&mut self) -> Result<Vec<Arc<Entry>>, Failure> {
        self.next()?;
        let name = self.next()?;
        Ok(maps::all().into_iter().filter(|map| map.def().name == name).collect())
    }

    /// A map: `id N`, `name NAME` or `pinned FILE`.
    pub(super) fn map(&mut self, ctx: &Ctx) -> Result<Arc<Entry>, Failure> {
        let Some(how) = self.peek() else {
            return Err(Failure::word(String::from("expected 'id', 'name' or 'pinned'")));
        };
        match how {
            "id" => {
                self.next()?;
                let word = self.next()?;
                let id = number(word).and_then(|id| u32::try_from(id).ok());
                let id = id.ok_or_else(|| Failure::word(format!("can't parse {word} as ID")))?;
                maps::by_id(id).ok_or_else(|| {
                    Failure::word(format!("get map by id ({id}): {}", Errno::ENOENT.strerror()))
                })
            }
            "name" => {
                let mut all = self.named_maps()?;
                match (all.pop(), all.len()) {
                    (Some(map), 0) => Ok(map),
                    (Some(_), more) => {
                        Err(Failure::word(format!("several maps match this handle: {}", more + 1)))
                    }
                    (None, _) => Err(Failure::word(String::from("no map has this name"))),
                }
            }
            "pinned" => {
                self.next()?;
                let path = ctx.path(self.next()?);
                let failed =
                    |errno: Errno| Failure::word(format!("bpf obj get ({path}): {}", errno.strerror()));
                let object = bpffs::get(&path).map_err(failed)?;
                object.downcast().map_err(|_| Failure::word(String::from("incorrect object type: not a map")))
            }
            _ => Err(Failure::word(format!("expected 'id', 'name' or 'pinned', got: '{how}'?"))),
        }
    }

    /// A program: `id N`, `name NAME` or `pinned FILE`.
    fn prog(&mut self, ctx: &Ctx) -> Result<Arc<Prog>, Failure> {
        let how = self.next()?;
        let word = self.next()?;
        let found = match how {
            "id" => number(word).and_then(|id| prog::by_id(u32::try_from(id).ok()?)),
            "name" => prog::all().into_iter().find(|prog| prog.parts().name == word),
            "pinned" => bpffs::get(&ctx.path(word)).ok().and_then(|object| object.downcast().ok()),
            _ => return Err(Failure::word(format!("expected 'id', 'name' or 'pinned', got: '{how}'?"))),
        };
        found.ok_or_else(|| Failure::word(format!("get by {how} ({word}): {}", Errno::ENOENT.strerror())))
    }

    /// So many bytes.
    fn data(&mut self, name: &str, count: usize) -> Result<Vec<u8>, Failure> {
        let hex = self.peek() == Some("hex");
        if hex {
            self.next()?;
        }
        let mut bytes = Vec::new();
        while bytes.len() < count
            && let Some(word) = self.peek()
        {
            let byte = if hex {
                u8::from_str_radix(word, 16).ok()
            } else {
                number(word).and_then(|n| n.try_into().ok())
            };
            bytes.push(byte.ok_or_else(|| Failure::word(format!("error parsing byte: {word}")))?);
            self.next()?;
        }
        if bytes.len() < count {
            let got = bytes.len();
            return Err(Failure::word(format!("{name} expected {count} bytes got {got}")));
        }
        Ok(bytes)
    }

    /// A value of a map: bytes, for all CPUs the same; or another map.
    fn value(&mut self, ctx: &Ctx, map: &Entry) -> Result<Value, Failure> {
        let def = map.def();
        if def.kind.holds_maps() {
            return self.map(ctx).map(Value::Map);
        }
        if def.kind == MapKind::ProgArray {
            return self.prog(ctx).map(Value::Prog);
        }
        let mut one = self.data("value", def.value_size as usize)?;
        if !def.kind.is_percpu() {
            return Ok(Value::Bytes(one));
        }
        one.resize(def.value_stride() as usize, 0);
        Ok(Value::Bytes(one.repeat(cpu::online())))
    }

    /// A key, a value and how it is to be put there, in any order, to the end of the line.
    pub(super) fn element(
        &mut self,
        ctx: &Ctx,
        map: &Entry,
        wants_key: bool,
        wants_value: bool,
    ) -> Result<Written, Failure> {
        let mut element = Written::default();
        let mut flags = None;
        while let Some(word) = self.peek() {
            let flag = match word {
                "any" => Some(ANY),
                "noexist" => Some(NOEXIST),
                "exist" => Some(EXIST),
                _ => None,
            };
            if flag.is_some() && wants_value {
                if flags.is_some() {
                    return Err(Failure::word(format!("flags specified multiple times: {word}")));
                }
                flags = flag;
                self.next()?;
                continue;
            }
            match word {
                "key" if element.key.is_some() => {
                    return Err(Failure::word(String::from("key specified multiple times")));
                }
                "key" => {
                    self.next()?;
                    element.key = Some(self.data("key", map.def().key_size as usize)?);
                }
                "value" if !wants_value => return Err(Failure::word(String::from("unnecessary value"))),
                "value" if element.value.is_some() => {
                    return Err(Failure::word(String::from("value specified multiple times")));
                }
                "value" => {
                    self.next()?;
                    element.value = Some(self.value(ctx, map)?);
                }
                _ => return Err(Failure::word(format!("expected key or value, got: {word}"))),
            }
        }
        if wants_key && element.key.is_none() && map.def().key_size > 0 {
            return Err(Failure::word(String::from("did not find key")));
        }
        if wants_value && element.value.is_none() {
            return Err(Failure::word(String::from("did not find value")));
        }
        element.flags = flags.unwrap_or(ANY);
        Ok(element)
    }
}
