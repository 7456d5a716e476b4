//! What is shown of a record besides its columns.
//!
//! ```text
//!   Sentence   work: (work_add+0x0/0x10) a=2           by the class's print program
//!   Fields     work: __probe_ip=work_add+0x0/0x10 (-140…) a=0x2 (2)
//!   Raw        7 1 3804073008 type: 1024               task, CPU, time, class; records of users with their text
//!   Hex        00000007 00000001 00000000e2bd8c30 type: 1024
//!   Binary     four, four and eight bytes, then `type: 1024`
//! ```

use super::{Form, Found, Style};
use crate::event::print::{number, put, text_at};
use crate::event::{Class, FUNCTION_ID, Field, Header};
use crate::symbolize::{NameOnly, Naming, Symbolizer, WithOffset};
use alloc::vec::Vec;

/// Is it the class of `trace_marker`?
pub(super) fn is_print(class: &Class) -> bool {
    class.system == "ftrace" && class.name == "print"
}

/// Is it the class of `trace_marker_raw`?
fn is_raw_data(class: &Class) -> bool {
    class.system == "ftrace" && class.name == "raw_data"
}

/// Is it the class of records that a tracer makes? Those name all addresses alike.
fn is_tracers(class: &Class) -> bool {
    class.system == "ftrace" && !is_print(class) && !is_raw_data(class)
}

/// The field that says where a record was made.
fn place(class: &Class) -> Option<&Field> {
    class.fields.first().filter(|field| field.name == "ip" || field.name.starts_with("__probe_"))
}

/// Puts the text of a record of `trace_marker`.
pub(super) fn print_alone(class: &Class, record: &[u8], out: &mut Vec<u8>) {
    let text = class.fields.get(1).and_then(|field| text_at(record, field)).unwrap_or_default();
    out.extend_from_slice(text);
    if !text.ends_with(b"\n") {
        out.push(b'\n');
    }
}

/// Puts what the class says.
pub(super) fn sentence(
    class: &Class,
    record: &[u8],
    symbols: &dyn Symbolizer,
    style: &Style,
    out: &mut Vec<u8>,
) {
    if is_tracers(class) {
        let naming = Naming { offset: style.symbol_offset, address: style.symbol_address };
        return class.print_naming(record, symbols, naming, out);
    }
    let start = out.len();
    class.print(record, symbols, out);
    if !style.symbol_offset && !style.symbol_address {
        return;
    }
    // What the options add stands behind the name of the place, which is the first that is printed.
    let Some(ip) = place(class).map(|field| number(record, usize::from(field.offset), 8)) else { return };
    let printed = out.split_off(start);
    let (mut was, mut is) = (Vec::new(), Vec::new());
    match is_print(class) {
        true => {
            put!(&mut was, "{}", NameOnly(symbols, ip));
            match style.symbol_offset {
                true => put!(&mut is, "{}", WithOffset(symbols, ip)),
                false => is.extend_from_slice(&was),
            }
        }
        false => {
            put!(&mut was, "({}", WithOffset(symbols, ip));
            is.extend_from_slice(&was);
        }
    }
    if style.symbol_address {
        put!(&mut is, " <{ip:016x}>");
    }
    match printed.windows(was.len().max(1)).position(|part| part == was) {
        Some(at) => {
            out.extend_from_slice(printed.get(..at).unwrap_or_default());
            out.extend_from_slice(&is);
            out.extend_from_slice(printed.get(at + was.len()..).unwrap_or_default());
        }
        None => out.extend_from_slice(&printed),
    }
}

/// Puts the fields by name.
pub(super) fn fields(class: &Class, record: &[u8], symbols: &dyn Symbolizer, out: &mut Vec<u8>) {
    if class.system == "ftrace" {
        // Linux knows no fields of these.
        return put!(out, "UNKNOWN TYPE {}\n", class.id);
    }
    put!(out, "{}:", class.name);
    for field in &class.fields {
        put!(out, " {}=", field.name);
        one(record, field, symbols, out);
    }
    out.push(b'\n');
}

/// Puts one field.
fn one(record: &[u8], field: &Field, symbols: &dyn Symbolizer, out: &mut Vec<u8>) {
    let (at, size) = (usize::from(field.offset), usize::from(field.size));
    if field.is_location() || (field.ty.contains("char") && !field.suffix.is_empty()) {
        return out.extend_from_slice(text_at(record, field).unwrap_or(b"(fault)"));
    }
    let value = number(record, at, size);
    match size {
        1 => {
            out.extend_from_slice(&[b'\'', value as u8, b'\'']);
            put!(out, "({value})");
        }
        2 => put!(out, "{:#x} ({})", value, value as i16),
        4 => put!(out, "{:#x} ({})", value, value as i32),
        8 => match symbols.symbol_at(value) {
            Some(_) => put!(out, "{} ({})", WithOffset(symbols, value), value as i64),
            None => put!(out, "{:#x} ({})", value, value as i64),
        },
        _ => out.extend_from_slice(b"<INVALID-SIZE>"),
    }
}

/// Puts the forms that are numbers.
pub(super) fn numbers(
    found: Found<'_>,
    class: Option<&Class>,
    symbols: &dyn Symbolizer,
    style: &Style,
    out: &mut Vec<u8>,
) {
    let header = Header::of(found.record);
    let (pid, cpu) = (header.pid as u32, found.cpu as u32);
    if style.context {
        match style.form {
            Form::Hex => put!(out, "{pid:08x} {cpu:08x} {:016x} ", found.time),
            Form::Binary => {
                out.extend_from_slice(&pid.to_le_bytes());
                out.extend_from_slice(&cpu.to_le_bytes());
                out.extend_from_slice(&found.time.to_le_bytes());
            }
            _ => put!(out, "{} {cpu} {} ", header.pid, found.time),
        }
    }
    if let Some(class) = class.filter(|class| class.id == FUNCTION_ID) {
        let at = |field: usize| class.fields.get(field).map_or(0, |field| usize::from(field.offset));
        let (ip, parent) = (number(found.record, at(0), 8), number(found.record, at(1), 8));
        match style.form {
            Form::Binary => [ip, parent].iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes())),
            Form::Hex => put!(out, "{ip:016x} {parent:016x} \n"),
            _ => put!(out, "{ip:x} {parent:x}\n"),
        }
        return;
    }
    match class.filter(|_| style.form == Form::Raw) {
        Some(class) if is_print(class) => {
            put!(out, "# {:x} ", number(found.record, 8, 8));
            print_alone(class, found.record, out);
        }
        Some(class) if is_raw_data(class) => class.print(found.record, symbols, out),
        _ => put!(out, "type: {}\n", header.id),
    }
    if style.form == Form::Hex {
        out.push(b'\n');
    }
}
