//! Bytes to types.

use alloc::vec::Vec;
use core::ops::Range;

use super::{BadBtf, Btf, InSection, Kind, Member, STRINGS_MAX, TYPES_MAX, Type, Value};

/// The first two bytes, of a little-endian BTF.
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// Bytes of the header up to and with the lengths that are known here.
const HEADER_LEN: u32 = 24;
/// Members of all structs together, parameters and values among them: nobody needs more, and it bounds memory by more
/// than the length of a file.
const ITEMS_MAX: usize = 1 << 22;

/// Takes numbers from the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// What is being read, for errors.
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], BadBtf> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(BadBtf::Short(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadBtf> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(BadBtf::Short(self.what))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, BadBtf> {
        self.array().map(u32::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, BadBtf> {
        self.array().map(u16::from_le_bytes)
    }

    fn u8(&mut self) -> Result<u8, BadBtf> {
        self.array().map(u8::from_le_bytes)
    }
}

/// The beginning that `.BTF` and `.BTF.ext` share: the length of the header, and a reader behind what has been read.
pub(super) fn begin<'a>(bytes: &'a [u8], least: u32) -> Result<(usize, Reader<'a>), BadBtf> {
    let mut reader = Reader::new(bytes, "the header");
    let magic = reader.u16()?;
    if magic != MAGIC {
        return Err(BadBtf::Magic(magic));
    }
    let version = reader.u8()?;
    if version != VERSION {
        return Err(BadBtf::Version(version));
    }
    let _flags = reader.u8()?;
    let len = reader.u32()?;
    if len < least || len as usize > bytes.len() {
        return Err(BadBtf::Header);
    }
    Ok((len as usize, reader))
}

/// So many bytes from an offset behind the header.
pub(super) fn section(bytes: &[u8], header: usize, off: u32, len: u32) -> Result<&[u8], BadBtf> {
    let from = header.checked_add(off as usize).ok_or(BadBtf::Header)?;
    let to = from.checked_add(len as usize).ok_or(BadBtf::Header)?;
    bytes.get(from..to).ok_or(BadBtf::Header)
}

/// The word behind the name.
#[derive(Clone, Copy)]
struct Info {
    vlen: usize,
    kind: u8,
    flag: bool,
}

impl Btf {
    /// Reads `.BTF`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadBtf> {
        let (header, mut head) = begin(bytes, HEADER_LEN)?;
        let (type_off, type_len, str_off, str_len) = (head.u32()?, head.u32()?, head.u32()?, head.u32()?);
        let types = section(bytes, header, type_off, type_len)?;
        let strings = section(bytes, header, str_off, str_len)?;
        if strings.len() > STRINGS_MAX {
            return Err(BadBtf::TooMany("strings"));
        }
        if strings.first() != Some(&0) || strings.last() != Some(&0) {
            return Err(BadBtf::Strings);
        }
        let mut btf = Self { strings: strings.into(), ..Self::default() };
        btf.types.push(Type { name: 0, kind: Kind::Void });
        let mut reader = Reader::new(types, "a type");
        while !reader.is_empty() {
            if btf.types.len() > TYPES_MAX {
                return Err(BadBtf::TooMany("types"));
            }
            let ty = btf.read_type(&mut reader)?;
            btf.types.push(ty);
        }
        btf.check()?;
        Ok(btf)
    }

    fn read_type(&mut self, reader: &mut Reader<'_>) -> Result<Type, BadBtf> {
        let ty = self.count();
        let wrong = |what| Err(BadBtf::Type { ty, what });
        let (name, info, size) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let info =
            Info { vlen: (info & 0xffff) as usize, kind: (info >> 24 & 0x1f) as u8, flag: info >> 31 != 0 };
        let kind = match info.kind {
            1 => {
                let encoding = reader.u32()?;
                let (bits, offset) = (encoding as u8, (encoding >> 16) as u8);
                if size == 0 || size > 16 || u32::from(bits) + u32::from(offset) > size * 8 {
                    return wrong("an integer of a strange size");
                }
                Kind::Int { size, signed: encoding >> 24 & 1 != 0, bits, offset }
            }
            2 => Kind::Ptr(size),
            3 => {
                let (of, _index, count) = (reader.u32()?, reader.u32()?, reader.u32()?);
                Kind::Array { of, count }
            }
            4 | 5 => {
                Kind::Composite { union: info.kind == 5, size, members: self.read_members(reader, info)? }
            }
            6 => {
                // Whether or not the flag is set, which older compilers did not know: as libbpf reads them.
                let mut value = |reader: &mut Reader<'_>| reader.u32().map(|raw| i64::from(raw as i32));
                let values = self.read_values(reader, info, &mut value)?;
                Kind::Enum { size, signed: info.flag, values }
            }
            7 => Kind::Fwd { union: info.flag },
            8 => Kind::Typedef(size),
            // volatile, const, restrict, a tag of a type
            9..=11 | 18 => Kind::Modifier(size),
            12 => Kind::Func { proto: size, linkage: info.vlen as u16 },
            13 => Kind::Proto { result: size, params: self.read_params(reader, info)? },
            14 => Kind::Var { ty: size, linkage: reader.u32()? },
            15 => Kind::Section { size, vars: self.read_vars(reader, info)? },
            16 => Kind::Float(size),
            17 => {
                let _component = reader.u32()?;
                Kind::DeclTag(size)
            }
            19 => {
                let mut value = |reader: &mut Reader<'_>| {
                    Ok((u64::from(reader.u32()?) | u64::from(reader.u32()?) << 32).cast_signed())
                };
                let values = self.read_values(reader, info, &mut value)?;
                Kind::Enum { size, signed: info.flag, values }
            }
            kind => return Err(BadBtf::Kind { ty, kind }),
        };
        Ok(Type { name, kind })
    }

    fn room(have: usize, more: usize) -> Result<Range<usize>, BadBtf> {
        if have + more > ITEMS_MAX { Err(BadBtf::TooMany("members")) } else { Ok(have..have + more) }
    }

    fn read_members(&mut self, reader: &mut Reader<'_>, info: Info) -> Result<Range<usize>, BadBtf> {
        let range = Self::room(self.members.len(), info.vlen)?;
        for _ in 0..info.vlen {
            let (name, ty, place) = (reader.u32()?, reader.u32()?, reader.u32()?);
            let (bit_offset, bits) =
                if info.flag { (place & 0x00ff_ffff, (place >> 24) as u8) } else { (place, 0) };
            self.members.push(Member { name, ty, bit_offset, bits });
        }
        Ok(range)
    }

    fn read_params(&mut self, reader: &mut Reader<'_>, info: Info) -> Result<Range<usize>, BadBtf> {
        let range = Self::room(self.members.len(), info.vlen)?;
        for _ in 0..info.vlen {
            let (name, ty) = (reader.u32()?, reader.u32()?);
            self.members.push(Member { name, ty, bit_offset: 0, bits: 0 });
        }
        Ok(range)
    }

    fn read_values(
        &mut self,
        reader: &mut Reader<'_>,
        info: Info,
        value: &mut dyn FnMut(&mut Reader<'_>) -> Result<i64, BadBtf>,
    ) -> Result<Range<usize>, BadBtf> {
        let range = Self::room(self.values.len(), info.vlen)?;
        for _ in 0..info.vlen {
            let name = reader.u32()?;
            let value = value(reader)?;
            self.values.push(Value { name, value });
        }
        Ok(range)
    }

    fn read_vars(&mut self, reader: &mut Reader<'_>, info: Info) -> Result<Range<usize>, BadBtf> {
        let range = Self::room(self.vars.len(), info.vlen)?;
        for _ in 0..info.vlen {
            let (var, offset, size) = (reader.u32()?, reader.u32()?, reader.u32()?);
            self.vars.push(InSection { var, offset, size });
        }
        Ok(range)
    }

    /// Looks whether every reference leads somewhere.
    fn check(&self) -> Result<(), BadBtf> {
        let (types, strings) = (self.count(), self.strings.len());
        let mut names: Vec<u32> = Vec::new();
        let mut refs: Vec<u32> = Vec::new();
        for (ty, found) in self.types() {
            names.clear();
            refs.clear();
            names.push(found.name);
            match &found.kind {
                Kind::Ptr(to) | Kind::Typedef(to) | Kind::Modifier(to) | Kind::DeclTag(to) => refs.push(*to),
                Kind::Array { of, .. } => refs.push(*of),
                Kind::Func { proto, .. } => {
                    if !matches!(self.get(*proto), Some(Type { kind: Kind::Proto { .. }, .. })) {
                        return Err(BadBtf::Type { ty, what: "a function without a prototype" });
                    }
                }
                Kind::Var { ty: of, .. } => refs.push(*of),
                Kind::Composite { members, .. } => {
                    names.extend(self.members_of(members).iter().map(|member| member.name));
                    refs.extend(self.members_of(members).iter().map(|member| member.ty));
                }
                Kind::Proto { result, params } => {
                    refs.push(*result);
                    names.extend(self.members_of(params).iter().map(|param| param.name));
                    refs.extend(self.members_of(params).iter().map(|param| param.ty));
                }
                Kind::Enum { values, .. } => {
                    names.extend(self.values_of(values).iter().map(|value| value.name));
                }
                Kind::Section { vars, .. } => {
                    let known = |var: &InSection| {
                        matches!(
                            self.get(var.var),
                            Some(Type { kind: Kind::Var { .. } | Kind::Func { .. }, .. })
                        )
                    };
                    if !self.vars_of(vars).iter().all(known) {
                        return Err(BadBtf::Type { ty, what: "a section of something that is no variable" });
                    }
                }
                Kind::Void | Kind::Int { .. } | Kind::Fwd { .. } | Kind::Float(_) => {}
            }
            if names.iter().any(|name| *name as usize >= strings) {
                return Err(BadBtf::Type { ty, what: "a name that is not among the strings" });
            }
            if refs.iter().any(|to| *to >= types) {
                return Err(BadBtf::Type { ty, what: "it refers to a type that is not there" });
            }
        }
        Ok(())
    }
}
