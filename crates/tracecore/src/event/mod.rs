//! Event classes: what a record looks like, as data.
//!
//! A [`Class`] is an id, a name, fields at offsets, and a print program. Everything that anyone shows of an event
//! is read off it, so a new event is a new table and no new code:
//!
//! ```text
//!                ┌─▶ events/SYSTEM/NAME/format      Class::format
//!     Class ─────┼─▶ the record's line in `trace`   Class::print
//!                └─▶ filters, triggers, what BPF sees: fields by name
//! ```
//!
//! The text of `format` is Linux's to the byte, as libraries parse it. What `format` announces and what the trace
//! shows need not be the same characters: a probe's address is announced as `(%lx)` and shown as
//! `(work_add+0x8/0x10)`. So a [`Piece`] of the print program knows both.

mod builtin;
mod declared;
mod header;
pub(crate) mod print;
mod printf;
mod probe;
#[cfg(test)]
mod tests;

pub use builtin::{
    FUNCTION_ID, GRAPH_ENTRY_ID, GRAPH_EXIT_ID, GRAPH_RETADDR_ENTRY_ID, PRINT_ID, RAW_DATA_ID, REPEATS_ID,
    STACK_ID, function_class, graph_entry_class, graph_exit_class, graph_retaddr_entry_class, print_class,
    raw_data_class, repeats_class, stack_class,
};
pub use declared::declared_class;
pub use header::{
    BH_OFF, HARDIRQ, HEADER_LEN, Header, IRQS_OFF, NEED_RESCHED, NEED_RESCHED_LAZY, NMI, PREEMPT_RESCHED,
    SOFTIRQ,
};
pub use printf::{PrintError, Printf};
pub use probe::{PROBE_ARGS_AT, RETURN_ARGS_AT, probe_class};

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The C type, without the brackets of an array.
    pub ty: Cow<'static, str>,
    /// The name.
    pub name: Cow<'static, str>,
    /// The brackets of an array, as they are printed behind the name.
    pub suffix: Cow<'static, str>,
    /// Bytes from the start of the record.
    pub offset: u16,
    /// Bytes in the fixed part; 0 for one that reaches to the record's end.
    pub size: u16,
    /// Is it signed?
    pub signed: bool,
}

impl Field {
    /// A field that is no array.
    pub const fn new(ty: &'static str, name: &'static str, offset: u16, size: u16, signed: bool) -> Self {
        Self {
            ty: Cow::Borrowed(ty),
            name: Cow::Borrowed(name),
            suffix: Cow::Borrowed(""),
            offset,
            size,
            signed,
        }
    }

    /// An array, whose brackets are `suffix`.
    pub const fn array(
        ty: &'static str,
        name: &'static str,
        suffix: &'static str,
        offset: u16,
        size: u16,
        signed: bool,
    ) -> Self {
        Self {
            ty: Cow::Borrowed(ty),
            name: Cow::Borrowed(name),
            suffix: Cow::Borrowed(suffix),
            offset,
            size,
            signed,
        }
    }

    /// Bytes of one element, for an array.
    pub fn element_size(&self) -> u16 {
        let digits = self.suffix.trim_matches(['[', ']']);
        match digits.parse::<u16>() {
            Ok(count) if count != 0 => self.size / count,
            _ => 1,
        }
    }

    /// Is it the location of a text behind the fixed part?
    pub fn is_location(&self) -> bool {
        self.ty.starts_with("__data_loc")
    }
}

/// How one value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// In decimal, by the field's sign.
    Decimal,
    /// In hexadecimal with `0x`.
    Hex,
    /// In hexadecimal as it is.
    BareHex,
    /// As a character, in quotes.
    Char,
    /// Nanoseconds, as seconds with rounded microseconds.
    Time,
    /// As `name+0x10/0x80`.
    Symbol,
    /// As `name`.
    SymbolName,
    /// A text at a location, in quotes, or `(fault)`.
    Text,
    /// The bytes to the first NUL or the field's end, as they are.
    Chars,
    /// The bytes to the end of the record, in hexadecimal.
    Bytes,
}

impl Shown {
    /// The `printf` conversion that announces a value of this many bytes, escaped as in a C string.
    const fn conversion(self, size: usize, signed: bool) -> &'static str {
        match (self, size, signed) {
            (Shown::Decimal, 8, false) => "%Lu",
            (Shown::Decimal, 8, true) => "%Ld",
            (Shown::Decimal, _, false) => "%u",
            (Shown::Decimal, _, true) => "%d",
            (Shown::Hex, 8, _) => "0x%Lx",
            (Shown::Hex, ..) => "0x%x",
            (Shown::BareHex, 8, _) => "%Lx",
            (Shown::BareHex, ..) => "%x",
            (Shown::Char, ..) => "'%c'",
            (Shown::Time, ..) => "%Lu",
            (Shown::Symbol, ..) => "%pS",
            (Shown::SymbolName, ..) => "%ps",
            (Shown::Text, ..) => "\\\"%s\\\"",
            (Shown::Chars | Shown::Bytes, ..) => "%s",
        }
    }
}

/// One step of a print program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Literal(Cow<'static, str>),
    /// The field of this number.
    Value {
        /// Index into [`Class::fields`].
        field: u16,
        /// How it is shown.
        shown: Shown,
        /// Elements, shown as `{a,b,c}`; `None` for a single value.
        count: Option<u16>,
        /// ` name=` stands before it.
        named: bool,
    },
    /// What C text says: see [`Printf`].
    Printf(Printf),
    /// The arguments of a call, in brackets; nothing when the record ends before them.
    Arguments {
        /// The field with the function's address.
        function: u16,
        /// The field that they begin with.
        field: u16,
    },
    /// Addresses to the end of the record, a line each.
    Callers {
        /// The field that they begin with.
        field: u16,
    },
}

/// What a format file says behind `print fmt: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// This.
    Text(Cow<'static, str>),
    /// These two, each followed by what the named values of the print program come to: it is put together when
    /// someone reads the file, not when a probe is made.
    Named {
        /// The format string so far.
        format: &'static str,
        /// The values so far.
        values: &'static str,
    },
}

/// How a record's line in the trace starts and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStyle {
    /// `name: ` before the text and a line end after it.
    Named,
    /// The text alone; a line end after it unless it brings its own.
    Bare,
}

/// An event class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// What its records carry in their header.
    pub id: u16,
    /// The folder under `events`.
    pub system: Cow<'static, str>,
    /// The folder in that.
    pub name: Cow<'static, str>,
    /// The fields behind the common header.
    pub fields: Vec<Field>,
    /// What the format file announces.
    pub announced: Announced,
    /// What the trace shows.
    pub pieces: Vec<Piece>,
    /// How its line looks.
    pub style: LineStyle,
}

/// The fields that every record has.
const COMMON_FIELDS: &[Field] = &[
    Field::new("unsigned short", "common_type", 0, 2, false),
    Field::new("unsigned char", "common_flags", 2, 1, false),
    Field::new("unsigned char", "common_preempt_count", 3, 1, false),
    Field::new("int", "common_pid", 4, 4, true),
];

impl Class {
    /// The text of the event's `format` file.
    pub fn format(&self) -> String {
        let mut text = format!("name: {}\nID: {}\nformat:\n", self.name, self.id);
        for field in COMMON_FIELDS {
            declare(&mut text, field);
        }
        text.push('\n');
        for field in &self.fields {
            declare(&mut text, field);
        }
        text.push_str("\nprint fmt: ");
        match &self.announced {
            Announced::Text(announced) => text.push_str(announced),
            Announced::Named { format, values } => self.announce(format, values, &mut text),
        }
        text.push('\n');
        text
    }

    /// Puts the format string and the values.
    fn announce(&self, format: &str, values: &str, text: &mut String) {
        *text += &format!("\"{format}");
        let mut values = String::from(values);
        for piece in &self.pieces {
            let &Piece::Value { field, shown, count, named: true } = piece else { continue };
            let Some(field) = self.fields.get(usize::from(field)) else { continue };
            let conversion = {
                let size = field.size / count.unwrap_or(1).max(1);
                shown.conversion(usize::from(size), field.signed)
            };
            let name = &field.name;
            let mut value = |index: &str| {
                values += &match shown {
                    Shown::Text => format!(", __get_str({name}{index})"),
                    _ => format!(", REC->{name}{index}"),
                };
            };
            match count {
                None => {
                    *text += &format!(" {name}={conversion}");
                    value("");
                }
                Some(count) => {
                    *text += &format!(" {name}={{{}}}", vec![conversion; usize::from(count)].join(","));
                    (0..count).for_each(|index| value(&format!("[{index}]")));
                }
            }
        }
        *text += &format!("\"{values}");
    }

    /// The field of this name, common ones too.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().chain(COMMON_FIELDS).find(|field| field.name == name)
    }
}

fn declare(text: &mut String, field: &Field) {
    let Field { ty, name, suffix, offset, size, signed } = field;
    let signed = u8::from(*signed);
    *text += &format!("\tfield:{ty} {name}{suffix};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n");
}
