//! `.maps`: variables whose types say what maps they are.
//!
//! A definition is a struct that is never used as one. Numbers hide in the lengths of arrays, types behind pointers:
//!
//! ```text
//!   struct {                                                       BTF
//!       __uint(type, BPF_MAP_TYPE_HASH);      int (*type)[1];      pointer to an array of 1
//!       __uint(max_entries, 1024);            int (*max_entries)[1024];
//!       __type(key, __u32);                   __u32 *key;          pointer to the type: 4 bytes
//!       __type(value, __u64);                 __u64 *value;
//!   } counts SEC(".maps");
//! ```
//!
//! `values` is an array of pointers to what a map of maps, or of programs, holds; the variable's initialiser fills it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::elf::{Elf, SymbolKind};
use super::{Element, Error, Map, NAME_MAX};
use crate::btf::{Btf, Kind, Member};
use crate::map::{self, MapDef, MapKind, Special};

/// The most maps of an object.
pub(super) const MAPS_MAX: usize = 1024;
/// Bytes of a pointer in the initialiser of `values`.
const POINTER: u64 = 8;
/// Relocation of a pointer in data (`R_BPF_64_ABS64`).
const ABS64: u32 = 2;

/// Where maps lie: what a relocation by section and offset means.
#[derive(Default)]
pub(super) struct Places {
    /// Of `.maps`: section and offset of each variable.
    pub(super) variables: BTreeMap<(usize, u64), usize>,
    /// Sections of data, each one map.
    pub(super) data: BTreeMap<usize, usize>,
}

/// A definition, half read.
struct Spec {
    def: MapDef,
    pinned: bool,
    /// Where `values` begins in the variable, in bytes.
    values_at: Option<u64>,
}

/// Reads the definitions.
pub(super) fn read(elf: &Elf<'_>, btf: Option<&Btf>, maps: &mut Vec<Map>) -> Result<Places, Error> {
    let mut places = Places::default();
    let Some(section) = elf.index_of(".maps") else { return Ok(places) };
    let Some(btf) = btf else {
        return Err(Error::invalid("maps are defined in \".maps\", but there is no BTF (clang -g makes it)"));
    };
    let mut vars = None;
    for (ty, found) in btf.types() {
        if let Kind::Section { vars: range, .. } = &found.kind
            && btf.name_of(ty) == ".maps"
        {
            vars = Some(range.clone());
        }
    }
    let vars = vars.ok_or_else(|| Error::invalid("BTF says nothing of the section \".maps\""))?;
    let mut fill = Vec::new();
    for var in btf.vars_of(&vars) {
        let name = btf.name_of(var.var);
        let Some(Kind::Var { ty, .. }) = btf.get(var.var).map(|found| &found.kind) else {
            return Err(Error::invalid("a map that is no variable"));
        };
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(Error::invalid("a map without a name, or with a very long one"));
        }
        let symbol = elf.symbols.iter().find(|symbol| {
            symbol.section == Some(section) && symbol.kind == SymbolKind::Other && symbol.name == name
        });
        let Some(symbol) = symbol else {
            return Err(Error::invalid(format!("map '{name}': no symbol in \".maps\"")));
        };
        let spec = read_map(btf, name, *ty, false)?;
        let at = maps.len();
        if at >= MAPS_MAX {
            return Err(Error::new(Error::TOOBIG, format!("more than {MAPS_MAX} maps")));
        }
        if places.variables.insert((section, symbol.value), at).is_some() {
            return Err(Error::invalid(format!("map '{name}' lies where another one does")));
        }
        if let Some(values_at) = spec.values_at {
            let from = symbol.value.saturating_add(values_at);
            fill.push((at, from, symbol.value.saturating_add(symbol.size)));
        }
        maps.push(Map {
            def: spec.def,
            name: name.into(),
            contents: None,
            frozen: false,
            elements: Vec::new(),
            pinned: spec.pinned,
        });
    }
    for reloc in elf.relocs_of(section) {
        let place = fill.iter().find(|(_, from, to)| (*from..*to).contains(&reloc.offset));
        let symbol = elf.symbols.get(reloc.symbol);
        let (Some((at, from, _)), Some(symbol), ABS64) = (place, symbol, reloc.kind) else {
            return Err(Error::invalid("\".maps\": an initialiser outside of a map's values"));
        };
        let key = u32::try_from((reloc.offset - from) / POINTER)
            .map_err(|_| Error::invalid("\".maps\": an initialiser far outside"))?;
        let element = element(elf, &places, symbol)?;
        let map = maps.get_mut(*at).ok_or_else(|| Error::invalid("\".maps\": no such map"))?;
        let fits = match (&element, map.def.kind) {
            (Element::Map(_), kind) => kind.holds_maps(),
            (Element::Program(_), kind) => kind == MapKind::ProgArray,
        };
        if !fits {
            return Err(Error::invalid(format!(
                "map '{}': its kind cannot hold '{}'",
                map.name, symbol.name
            )));
        }
        map.elements.push((key, element));
    }
    for map in maps.iter_mut() {
        let entries = map.elements.iter().map(|(key, _)| key.saturating_add(1)).max();
        // As with libbpf, the initialiser may say how many there are.
        if map.def.max_entries == 0 {
            map.def.max_entries = entries.unwrap_or(0);
        }
    }
    Ok(places)
}

fn element(elf: &Elf<'_>, places: &Places, symbol: &super::elf::Symbol<'_>) -> Result<Element, Error> {
    let section =
        symbol.section.ok_or_else(|| Error::invalid(format!("'{}' is not defined", symbol.name)))?;
    if let Some(map) = places.variables.get(&(section, symbol.value)) {
        return Ok(Element::Map(*map));
    }
    let code = elf.sections.get(section).is_some_and(|section| section.code);
    if code && symbol.kind == SymbolKind::Function {
        return Ok(Element::Program(symbol.name.into()));
    }
    Err(Error::invalid(format!("'{}' is neither a map nor a program", symbol.name)))
}

/// A name as a kernel keeps it.
pub(super) fn kernel_name(name: &str) -> String {
    let sane = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    name.chars().map(sane).take(map::NAME_MAX).collect()
}

fn read_map(btf: &Btf, name: &str, ty: u32, inner: bool) -> Result<Spec, Error> {
    let wrong = |what: &str| Error::invalid(format!("map '{name}': {what}"));
    let Some((_, Kind::Composite { union: false, members, .. })) = btf.resolve(ty) else {
        return Err(wrong("its type is no struct"));
    };
    let mut spec = Spec {
        def: MapDef::new(MapKind::Array, 0, 0, 0).named(&kernel_name(name)),
        pinned: false,
        values_at: None,
    };
    let (mut kind, mut key, mut value) = (None, None::<u32>, None::<u32>);
    for member in btf.members_of(members) {
        let field = btf.string(member.name);
        let number = || {
            number(btf, member)
                .ok_or_else(|| wrong(&format!("'{field}' is no number, as __uint would write it")))
        };
        let agree = |size: &mut Option<u32>, new: u32| match size.replace(new) {
            Some(old) if old != new => Err(wrong(&format!("two sizes of '{field}', {old} and {new}"))),
            _ => Ok(()),
        };
        match field {
            "type" => kind = Some(number()?),
            "max_entries" => spec.def.max_entries = number()?,
            "map_flags" => spec.def.flags = number()?,
            "map_extra" => spec.def.extra = u64::from(number()?),
            // There is one node.
            "numa_node" => {}
            "pinning" => spec.pinned = number()? == 1,
            "key_size" => agree(&mut key, number()?)?,
            "value_size" => agree(&mut value, number()?)?,
            "key" => {
                let (_, size) = pointed_to(btf, member).ok_or_else(|| wrong("its key has no size"))?;
                agree(&mut key, size)?;
            }
            "value" => {
                let (ty, size) = pointed_to(btf, member).ok_or_else(|| wrong("its value has no size"))?;
                agree(&mut value, size)?;
                spec.def.special = special(btf, ty);
            }
            "values" => {
                if inner {
                    return Err(wrong("a map in a map that holds maps"));
                }
                spec.values_at = Some(u64::from(member.bit_offset / 8));
                spec.def.inner = inner_of(btf, name, member)?;
                agree(&mut value, 4)?;
            }
            _ => {
                return Err(Error::new(
                    Error::NOTSUPP,
                    format!("map '{name}': nobody knows the field '{field}'"),
                ));
            }
        }
    }
    let number = kind.ok_or_else(|| wrong("it has no type"))?;
    spec.def.kind = MapKind::by_number(number).ok_or_else(|| {
        Error::new(Error::NOTSUPP, format!("map '{name}': there are no maps of type {number} here"))
    })?;
    (spec.def.key_size, spec.def.value_size) = (key.unwrap_or(0), value.unwrap_or(0));
    if spec.def.kind == MapKind::PerfEventArray && key.is_none() && value.is_none() {
        (spec.def.key_size, spec.def.value_size) = (4, 4);
    }
    Ok(spec)
}

/// `int (*field)[N]`: N.
fn number(btf: &Btf, member: &Member) -> Option<u32> {
    let (_, Kind::Ptr(to)) = btf.skip_modifiers(member.ty)? else { return None };
    let (_, Kind::Array { count, .. }) = btf.skip_modifiers(*to)? else { return None };
    Some(*count)
}

/// `T *field`: T, and its bytes.
fn pointed_to(btf: &Btf, member: &Member) -> Option<(u32, u32)> {
    let (_, Kind::Ptr(to)) = btf.skip_modifiers(member.ty)? else { return None };
    Some((*to, u32::try_from(btf.size_of(*to)?).ok()?))
}

/// The definition behind `values`: of maps; of programs there is none.
fn inner_of(btf: &Btf, name: &str, member: &Member) -> Result<Option<Box<MapDef>>, Error> {
    let wrong =
        || Error::invalid(format!("map '{name}': 'values' is no array of pointers to maps or programs"));
    let Some((_, Kind::Array { of, .. })) = btf.skip_modifiers(member.ty) else { return Err(wrong()) };
    let Some((_, Kind::Ptr(to))) = btf.skip_modifiers(*of) else { return Err(wrong()) };
    match btf.resolve(*to) {
        Some((_, Kind::Proto { .. } | Kind::Void)) => Ok(None),
        Some((inner, Kind::Composite { .. })) => {
            let name: String = format!("{name}.inner").chars().take(NAME_MAX).collect();
            Ok(Some(Box::new(read_map(btf, &name, inner, true)?.def)))
        }
        _ => Err(wrong()),
    }
}

/// Where in a value the fields are that the kernel owns.
pub(super) fn special(btf: &Btf, ty: u32) -> Special {
    let mut special = Special::default();
    let Some((_, Kind::Composite { union: false, members, .. })) = btf.resolve(ty) else { return special };
    for member in btf.members_of(members) {
        note_special(btf, member.ty, member.bit_offset / 8, &mut special);
    }
    special
}

/// Is a type one of these fields? Then it lies there.
pub(super) fn note_special(btf: &Btf, ty: u32, offset: u32, special: &mut Special) {
    if let Some((ty, Kind::Composite { union: false, .. })) = btf.resolve(ty) {
        match btf.name_of(ty) {
            "bpf_spin_lock" => special.spin_lock = Some(offset),
            "bpf_timer" => special.timer = Some(offset),
            _ => {}
        }
    }
}
