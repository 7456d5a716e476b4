//! Texts with maps: what a compiler's object says, for those who have none.
//!
//! ```text
//!   .map counts hash key 4 value 8 entries 64      ; a map that the programs below know as map[counts]
//!   .string format "n %d\n"                        ; bytes, and a zero behind them: r1 = map[format]
//!   .section kprobe/work_add on_add                ; here begins a program: what it is, and its name
//!       r6 = *(u64 *)(r1 + 0)
//!       …
//!   .section kretprobe/work_add on_return          ; and here the next one
//! ```
//!
//! | directive | what |
//! |---|---|
//! | `.map NAME KIND [key N] [value N] [entries N] [flags N] [extra N] [lock N] [timer N] [inner MAP] [hidden]` | a map; `lock` and `timer` are offsets in the value; `inner` is what a map of maps holds; a `hidden` one is not made, only a model for `inner` |
//! | `.put MAP KEY NAME` | an array of maps or of programs has this one there from the beginning |
//! | `.string NAME "TEXT"` | a constant; `\n \t \0 \\ \"` as in C |
//! | `.data NAME N` | N bytes of zeros for all programs of the text, and whoever reads them |
//! | `.section SECTION [NAME]` | a program begins |
//! | `.license TEXT` | GPL, if nobody says otherwise |
//!
//! A text without `.section` is one program. Labels, and functions that are called by label, belong to their program. A line, or
//! what is between two `;` in it, is one directive or instruction; `#` and `//` begin a comment. What is wrong is said with line
//! and column, whichever program it is in.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::data::name_of;
use super::maps::{MAPS_MAX, kernel_name};
use super::{Element, Error, Map, NAME_MAX, Object, Prog};
use crate::map::{MapDef, MapKind, flag};
use crate::op::Imm64;
use crate::text::{self, Names};

/// The most bytes of a text.
pub const TEXT_MAX: usize = 4 << 20;
/// The most bytes of strings and data each.
const DATA_MAX: usize = 1 << 20;
/// The most programs.
const PROGS_MAX: usize = 256;

/// What a text does not say itself.
pub struct Defaults<'a> {
    /// What its programs are if there is no `.section`.
    pub section: &'a str,
    /// What its first program is called if nothing says so, and its data after.
    pub name: &'a str,
    /// Helpers, and maps that are there already.
    pub names: &'a dyn Names,
}

/// A piece of the text: a directive or an instruction.
struct Piece<'a> {
    line: usize,
    from: usize,
    to: usize,
    text: &'a str,
}

/// Names that a text has defined.
struct Known<'a> {
    maps: &'a [Map],
    constants: &'a [(String, usize, u32)],
    outer: &'a dyn Names,
}

impl Names for Known<'_> {
    fn helper(&self, name: &str) -> Option<i32> {
        self.outer.helper(name)
    }

    fn helper_name(&self, number: i32) -> Option<&str> {
        self.outer.helper_name(number)
    }

    fn map(&self, name: &str) -> Option<Imm64> {
        if let Some(at) = self.maps.iter().position(|map| map.name == name) {
            return Some(Imm64::MapIndex(i32::try_from(at).ok()?));
        }
        if let Some((_, map, off)) = self.constants.iter().find(|(constant, ..)| constant == name) {
            return Some(Imm64::MapIndexValue { map: i32::try_from(*map).ok()?, off: *off });
        }
        self.outer.map(name)
    }
}

/// A program, not yet read: what it is, its name, and where its text is.
struct Part {
    section: String,
    name: String,
    ranges: Vec<(usize, usize)>,
}

/// What has been read of a text.
#[derive(Default)]
struct Reader {
    maps: Vec<Map>,
    hidden: Vec<MapDef>,
    strings: Vec<u8>,
    zeros: u32,
    /// Name, whether it is among the strings, and where.
    constants: Vec<(String, bool, u32)>,
    license: String,
    parts: Vec<Part>,
}

/// Reads a text.
///
/// # Errors
/// The first thing that is wrong, with line and column.
pub fn parse(text: &str, defaults: &Defaults<'_>) -> Result<Object, Error> {
    if text.len() > TEXT_MAX {
        return Err(Error::new(Error::TOOBIG, format!("a text of more than {TEXT_MAX} bytes")));
    }
    let mut reader = Reader::default();
    for piece in pieces(text) {
        if piece.text.starts_with('.') {
            reader
                .directive(&piece, defaults)
                .map_err(|why| Error::invalid(format!("{}: {why}", piece.line)))?;
            continue;
        }
        if reader.parts.is_empty() {
            reader.begin(defaults.section, defaults.name)?;
        }
        if let Some(part) = reader.parts.last_mut() {
            part.ranges.push((piece.from, piece.to));
        }
    }
    reader.finish(text, defaults)
}

/// The pieces between line ends and `;`, outside of quotes and comments. Empty ones are left out.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut line, mut from, mut quoted, mut comment, mut escaped) =
        (Vec::new(), 1, 0, false, false, false);
    let bytes = text.as_bytes();
    let mut end_of_text = None;
    for at in 0..=bytes.len() {
        let byte = bytes.get(at).copied().unwrap_or(b'\n');
        let ends = byte == b'\n' || byte == b';' && !quoted && !comment;
        if !ends {
            if escaped {
                escaped = false;
            } else if quoted {
                (quoted, escaped) = (byte != b'"', byte == b'\\');
            } else if !comment {
                let slashes = byte == b'/' && bytes.get(at + 1) == Some(&b'/');
                // `map[#0]` is no comment.
                let hash = byte == b'#' && (at == 0 || bytes.get(at - 1) != Some(&b'['));
                if slashes || hash {
                    (comment, end_of_text) = (true, Some(at));
                }
                quoted = byte == b'"';
            }
            continue;
        }
        let to = end_of_text.take().unwrap_or(at);
        let raw = text.get(from..to).unwrap_or_default();
        if !raw.trim().is_empty() {
            pieces.push(Piece { line, from, to, text: raw.trim() });
        }
        (from, quoted, escaped) = (at + 1, false, false);
        if byte == b'\n' {
            (line, comment) = (line + 1, false);
        }
    }
    pieces
}

/// A number as the assembler has it.
fn number(word: &str) -> Result<u32, String> {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| format!("{word:?} is no number of 32 bits"))
}

impl Reader {
    fn begin(&mut self, section: &str, name: &str) -> Result<(), Error> {
        if self.parts.len() >= PROGS_MAX {
            return Err(Error::new(Error::TOOBIG, format!("more than {PROGS_MAX} programs")));
        }
        self.parts.push(Part { section: section.into(), name: name.into(), ranges: Vec::new() });
        Ok(())
    }

    fn directive(&mut self, piece: &Piece<'_>, defaults: &Defaults<'_>) -> Result<(), String> {
        let (directive, rest) = piece.text.split_once(char::is_whitespace).unwrap_or((piece.text, ""));
        let rest = rest.trim();
        match directive {
            ".map" => self.map(rest),
            ".put" => self.put(rest),
            ".string" => {
                let (name, quoted) =
                    rest.split_once(char::is_whitespace).ok_or("expected .string NAME \"TEXT\"")?;
                let at = self.strings.len() as u32;
                self.strings.extend(unquote(quoted.trim())?);
                self.strings.push(0);
                if self.strings.len() > DATA_MAX {
                    return Err(format!("more than {DATA_MAX} bytes of strings"));
                }
                self.constant(name, true, at)
            }
            ".data" => {
                let (name, size) = rest.split_once(char::is_whitespace).ok_or("expected .data NAME BYTES")?;
                let (at, size) = (self.zeros.next_multiple_of(8), number(size.trim())?);
                let end = at.checked_add(size).filter(|end| *end as usize <= DATA_MAX && size > 0);
                self.zeros = end.ok_or_else(|| format!("between 1 and {DATA_MAX} bytes of data"))?;
                self.constant(name, false, at)
            }
            ".section" => {
                let mut words = rest.split_whitespace();
                let section = words.next().filter(|section| section.len() <= NAME_MAX);
                let section = section.ok_or("expected .section SECTION [NAME]")?;
                let name = match (words.next(), words.next()) {
                    (name, None) => name.unwrap_or(defaults.name),
                    _ => return Err("expected .section SECTION [NAME]".into()),
                };
                if name.is_empty() || name.len() > NAME_MAX {
                    return Err("a program without a name, or with a very long one".into());
                }
                self.begin(section, name).map_err(|error| error.to_string())
            }
            ".license" if !rest.is_empty() && rest.len() <= NAME_MAX => {
                self.license = rest.trim_matches('"').into();
                Ok(())
            }
            ".license" => Err("expected .license TEXT".into()),
            _ => Err(format!("{directive:?} is no directive")),
        }
    }

    fn is_known(&self, name: &str) -> bool {
        self.maps.iter().any(|map| map.name == name)
            || self.constants.iter().any(|(constant, ..)| constant == name)
            || self.hidden.iter().any(|def| def.name == kernel_name(name))
    }

    fn constant(&mut self, name: &str, string: bool, at: u32) -> Result<(), String> {
        self.check_name(name)?;
        if self.constants.len() >= MAPS_MAX {
            return Err(format!("more than {MAPS_MAX} names"));
        }
        self.constants.push((name.into(), string, at));
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        let sane = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let letter = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !letter || !name.chars().all(sane) || name.len() > NAME_MAX {
            return Err(format!("{name:?} is no name"));
        }
        if self.is_known(name) { Err(format!("{name:?} is there already")) } else { Ok(()) }
    }

    fn map(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let (Some(name), Some(kind)) = (words.next(), words.next()) else {
            return Err("expected .map NAME KIND …".into());
        };
        self.check_name(name)?;
        if self.maps.len() + self.hidden.len() >= MAPS_MAX {
            return Err(format!("more than {MAPS_MAX} maps"));
        }
        let kind = MapKind::by_name(kind).ok_or_else(|| {
            let known: Vec<&str> = MapKind::all().map(MapKind::name).collect();
            format!("{kind:?} is no kind of map; there are {}", known.join(", "))
        })?;
        let mut def = MapDef::new(kind, 0, 0, 0).named(&kernel_name(name));
        if matches!(kind, MapKind::ProgArray | MapKind::PerfEventArray | MapKind::ArrayOfMaps) {
            (def.key_size, def.value_size) = (4, 4);
        }
        let mut hidden = false;
        while let Some(word) = words.next() {
            if word == "hidden" {
                hidden = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word:?} of what?"))?;
            match word {
                "key" => def.key_size = number(value)?,
                "value" => def.value_size = number(value)?,
                "entries" => def.max_entries = number(value)?,
                "flags" => def.flags = number(value)?,
                "extra" => def.extra = u64::from(number(value)?),
                "lock" => def.special.spin_lock = Some(number(value)?),
                "timer" => def.special.timer = Some(number(value)?),
                "inner" => {
                    let model = self.hidden.iter().find(|def| def.name == kernel_name(value));
                    let model = model.or(self.maps.iter().find(|map| map.name == value).map(|map| &map.def));
                    let model = model.ok_or_else(|| format!("there is no map {value:?} before this line"))?;
                    def.inner = Some(Box::new(model.clone()));
                }
                _ => return Err(format!("nobody knows {word:?} of a map")),
            }
        }
        if hidden {
            self.hidden.push(def);
            return Ok(());
        }
        let name = name.into();
        self.maps.push(Map { def, name, contents: None, frozen: false, elements: Vec::new(), pinned: false });
        Ok(())
    }

    /// What is put is found when the object is made: it may come later in the text.
    fn put(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let (Some(map), Some(key), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("expected .put MAP KEY NAME".into());
        };
        let key = number(key)?;
        let inner = self.maps.iter().position(|map| map.name == name);
        let found = self.maps.iter_mut().find(|known| known.name == map);
        let found = found.ok_or_else(|| format!("there is no map {map:?} before this line"))?;
        let element = match (found.def.kind, inner) {
            (MapKind::ProgArray, _) => Element::Program(name.into()),
            (kind, Some(inner)) if kind.holds_maps() => Element::Map(inner),
            (kind, None) if kind.holds_maps() => {
                return Err(format!("there is no map {name:?} before this line"));
            }
            _ => return Err(format!("{map:?} holds neither maps nor programs")),
        };
        found.elements.push((key, element));
        Ok(())
    }

    fn finish(mut self, text: &str, defaults: &Defaults<'_>) -> Result<Object, Error> {
        let mut data = |suffix: &str, size: usize, contents: Option<Vec<u8>>, flags: u32| {
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            let def = MapDef::new(MapKind::Array, 4, size, 1)
                .named(&name_of(defaults.name, suffix))
                .with_flags(flags);
            let frozen = flags & flag::RDONLY_PROG != 0;
            self.maps.push(Map {
                def,
                name: suffix.into(),
                contents,
                frozen,
                elements: Vec::new(),
                pinned: false,
            });
            self.maps.len() - 1
        };
        let strings = (!self.strings.is_empty()).then(|| {
            data(
                ".rodata",
                self.strings.len(),
                Some(self.strings.clone()),
                flag::RDONLY_PROG | flag::MMAPABLE,
            )
        });
        let zeros = (self.zeros > 0).then(|| data(".bss", self.zeros as usize, None, flag::MMAPABLE));
        let constants: Vec<(String, usize, u32)> = self
            .constants
            .into_iter()
            .filter_map(|(name, string, at)| Some((name, if string { strings } else { zeros }?, at)))
            .collect();
        let known = Known { maps: &self.maps, constants: &constants, outer: defaults.names };
        let mut programs = Vec::new();
        for part in self.parts {
            // The program's own text where it stands, blanks everywhere else: so lines and columns are right.
            let mut own = String::new();
            let mut done = 0;
            for (from, to) in part.ranges {
                blank(&mut own, text.get(done..from).unwrap_or_default());
                own.push_str(text.get(from..to).unwrap_or_default());
                done = to;
            }
            let program = text::parse(&own, &known).map_err(|why| Error::invalid(format!("{why}")))?;
            let (name, section) = (part.name, part.section);
            programs.push(Prog { name, section, program, poisoned: Vec::new(), lines: Vec::new() });
        }
        if programs.is_empty() {
            return Err(Error::new(Error::NOENT, "there is no program in it"));
        }
        for (_, element) in self.maps.iter().flat_map(|map| &map.elements) {
            if let Element::Program(name) = element
                && !programs.iter().any(|program: &Prog| program.name == *name)
            {
                return Err(Error::new(Error::NOENT, format!("there is no program {name:?} to be put")));
            }
        }
        let license = if self.license.is_empty() { "GPL".into() } else { self.license };
        Ok(Object { license, version: 0, maps: self.maps, programs, btf: None })
    }
}

/// As many blanks, and the separators that were there.
fn blank(out: &mut String, text: &str) {
    let (mut comment, mut before) = (false, ' ');
    for c in text.chars() {
        comment = c != '\n' && (comment || c == '#' || c == '/' && before == '/');
        out.push(match c {
            '\n' => '\n',
            ';' if !comment => ';',
            _ => ' ',
        });
        before = c;
    }
}

/// What stands between the quotes.
fn unquote(text: &str) -> Result<Vec<u8>, String> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|_| text.len() >= 2);
    let inner = inner.ok_or("expected \"TEXT\"")?;
    let (mut bytes, mut escaped) = (Vec::new(), false);
    for byte in inner.bytes() {
        match (escaped, byte) {
            (false, b'\\') => escaped = true,
            (false, b'"') => return Err("a quote in the middle; \\\" is one".into()),
            (false, byte) => bytes.push(byte),
            (true, byte) => {
                escaped = false;
                bytes.push(match byte {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'0' => 0,
                    b'\\' | b'"' => byte,
                    _ => return Err(format!("nobody knows \\{}", char::from(byte))),
                });
            }
        }
    }
    if escaped { Err("expected \"TEXT\"".into()) } else { Ok(bytes) }
}
