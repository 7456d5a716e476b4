//! Fetch arguments: `[NAME=]FETCH[:TYPE]`.
//!
//! ```text
//! FETCH:  %REG            a register                 $argN     the N-th argument, at a function's entry
//!         $stack          the stack pointer          $stackN   the N-th word above it
//!         $retval         the result, at the end     $comm     the name of the current task
//!         @ADDR @SYM±N    the memory there           \N  \"s"  a constant
//!         ±[u]N(FETCH)    the memory at FETCH ± N; with u it is user memory
//!         NAME[->FIELD]…  an argument of the function, or what its fields lead to
//! ```
//!
//! A chain of dereferences is kept flat: [`Expr`] has the innermost source and the offsets from the inside out,
//! so `+8(-0(%x0))` is `x0`, then `[-0]`, then `[+8]`.
//!
//! The columns of errors are those of Linux to the byte, also where they surprise: the `u` of a user dereference
//! is not counted for what stands inside its brackets, and an error in the type of a dereference is shown to the
//! right of the type by the width of the outermost offset.

use super::error::{Blame, ErrorKind, ProbeError};
use super::name::is_identifier;
use super::named::{AsText, Named, Names};
use super::types::{self, Bits, MAX_ARRAY_LEN, Type};
use super::{MAX_ARG_NAME_LEN, MAX_ARG_TEXT_LEN, MAX_ARGS, MAX_ARGS_BYTES, number};
use a64::Reg;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The largest `N` of `$stackN` and `$argN`: the words of a kernel stack.
pub const MAX_STACK_WORD: u64 = 2048;

/// The steps of one argument: source, dereferences, store, bit field, array. Linux's table has sixteen places,
/// the last of which ends it; deeper nesting is refused there and here alike.
const LAST_STEP: usize = 15;

/// Names that the record's own fields have.
const RESERVED_NAMES: [&str; 8] = [
    "common_type",
    "common_flags",
    "common_preempt_count",
    "common_pid",
    "common_tgid",
    "__probe_ip",
    "__probe_ret_ip",
    "__probe_func",
];

/// Where a value starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A register.
    Register(Reg),
    /// The argument of this number, from 0.
    Argument(u16),
    /// The word of this number above the stack pointer.
    StackWord(u16),
    /// The stack pointer.
    StackPointer,
    /// The result of the function.
    ReturnValue,
    /// The name of the current task.
    Comm,
    /// A constant, or the address after `@`.
    Immediate(u64),
    /// A constant text.
    Text(String),
    /// The address of `SYMBOL[±OFFSET]`, before it is looked up.
    SymbolAddress(String),
}

/// One step through memory: what lies at the value so far plus `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dereference {
    /// Added to the value so far.
    pub offset: i64,
    /// The address must be one of user memory.
    pub user: bool,
}

/// A source and the dereferences on it, innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// The innermost value.
    pub source: Source,
    /// Then memory, step by step.
    pub derefs: Vec<Dereference>,
}

/// One fetch argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// The field's name, given or `argN`.
    pub name: String,
    /// The text after `NAME=`, as typed.
    pub text: String,
    /// What is fetched.
    pub expr: Expr,
    /// As what it is stored; for a bit field, its container.
    pub ty: Type,
    /// The bits, if only some of the container are meant.
    pub bits: Option<Bits>,
    /// Elements of the array; `None` for a single value.
    pub count: Option<u32>,
    /// What says how many bytes a string has; `None` for one that a NUL ends.
    pub length: Option<Expr>,
}

impl Arg {
    /// Bytes in the fixed part of the record.
    pub fn size(&self) -> usize {
        self.ty.size() * self.count.unwrap_or(1) as usize
    }
}

/// What the arguments may refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'t> {
    pub(super) is_return: bool,
    pub(super) at_entry: bool,
    /// Registers have names here.
    pub(super) registers: bool,
    pub(super) names: Names<'t>,
}

/// `$arg*`: every argument that is known.
pub(super) const ALL: &str = "$arg*";

/// What a FETCH was read as.
struct Fetched {
    expr: Expr,
    /// The place in the table of steps that the last one took.
    step: usize,
    /// What is known of its type.
    typed: Option<(Type, Option<AsText>)>,
}

impl Fetched {
    fn source(source: Source) -> Self {
        Self { expr: Expr { source, derefs: Vec::new() }, step: 0, typed: None }
    }
}

impl From<Named> for Fetched {
    fn from(named: Named) -> Self {
        let step = named.expr.derefs.len();
        Self { expr: named.expr, step, typed: Some((named.ty, named.text)) }
    }
}

/// Reads the argument in `word`, which stands at `column`; `before` are those to its left.
pub(super) fn parse(word: &str, column: usize, before: &[Arg], scope: Scope<'_>) -> Result<Arg, ProbeError> {
    let here = |kind| Err(ProbeError::at(kind, column));
    let (name, body) = match word.split_once('=') {
        Some((name, _)) if name.len() > MAX_ARG_NAME_LEN => return here(ErrorKind::ArgNameTooLong),
        Some(("", _)) => return here(ErrorKind::NoArgName),
        Some((name, body)) => (name.to_string(), body),
        None => (own_name(word, before.len() + 1), word),
    };
    if !is_identifier(&name) {
        return here(ErrorKind::BadArgName);
    }
    if RESERVED_NAMES.contains(&name.as_str()) || before.iter().any(|arg| arg.name == name) {
        return here(ErrorKind::UsedArgName);
    }
    parse_body(name, body, column + (word.len() - body.len()), size_of_all(before), scope)
}

/// Reads `$arg*`, which stands at `column`: adds every argument of the function that is known, under its own name.
pub(super) fn parse_all(column: usize, list: &mut Vec<Arg>, scope: Scope<'_>) -> Result<(), ProbeError> {
    let here = |kind| Err(ProbeError::at(kind, column));
    if !scope.at_entry {
        return here(ErrorKind::NotAtEntry);
    }
    if scope.names.table.is_empty() {
        return here(ErrorKind::NoTypeInformation);
    }
    let all = scope.names.all();
    if all.is_empty() {
        return here(ErrorKind::BadVariable);
    }
    for (name, text) in all {
        if list.len() >= MAX_ARGS {
            return here(ErrorKind::TooManyArgs);
        }
        if list.iter().any(|arg| arg.name == name) {
            return here(ErrorKind::UsedArgName);
        }
        // What is wrong with one of them is wrong with the word that stands for all.
        let at_word = |mut error: ProbeError| {
            error.log = error.log.map(|blame| Blame { column, ..blame });
            error
        };
        let arg = parse_body(name, &text, column, size_of_all(list), scope).map_err(at_word)?;
        list.push(arg);
    }
    Ok(())
}

fn size_of_all(args: &[Arg]) -> usize {
    args.iter().map(Arg::size).sum()
}

/// The name of the `number`th argument where none is given: an argument of the function keeps its own.
fn own_name(word: &str, number: usize) -> String {
    match word.split(':').next() {
        Some(fetch) if is_identifier(fetch) && fetch.len() <= MAX_ARG_NAME_LEN => fetch.to_string(),
        _ => format!("arg{number}"),
    }
}

/// The type after the colon, with where its name starts in the body.
struct TypeText<'t> {
    name: Option<&'t str>,
    at: usize,
    count: Option<u32>,
}

/// Reads the text behind `NAME=`, which stands at `start`; `used` is the size of the arguments before it.
fn parse_body(
    name: String,
    body: &str,
    start: usize,
    used: usize,
    scope: Scope<'_>,
) -> Result<Arg, ProbeError> {
    if body.len() > MAX_ARG_TEXT_LEN {
        return Err(ProbeError::at(ErrorKind::ArgTooLong, start));
    }
    if body.is_empty() {
        return Err(ProbeError::at(ErrorKind::NoArgBody, start));
    }
    let fetch = body.split(':').next().unwrap_or(body);
    let text = type_text(body, fetch.len(), start)?;
    let given = if matches!(fetch, "$comm" | "$COMM") || fetch.starts_with("\\\"") {
        if text.count.is_some() || text.name.is_some_and(|name| name != "string") {
            return Err(ProbeError::at(ErrorKind::NeedStringType, start + text.at));
        }
        Some(Type::String { user: false })
    } else {
        match text.name {
            None => None,
            Some(name) => {
                Some(Type::from_name(name).ok_or(ProbeError::at(ErrorKind::BadType, start + text.at))?)
            }
        }
    };
    let mut column = start;
    let mut fetched = expression(fetch, &mut column, scope)?;
    let ty = match (given, &fetched.typed) {
        (Some(ty), _) => ty,
        (None, Some((ty, _))) => *ty,
        (None, None) if fetch == "$retval" => Type::DEFAULT_RETVAL,
        (None, None) => Type::DEFAULT,
    };
    let length = match (ty, fetched.typed.take()) {
        (Type::String { user }, Some((_, as_text))) if text.count.is_none() => {
            as_string(&mut fetched, as_text, user).ok_or(ProbeError::at(ErrorKind::NotForString, start))?
        }
        _ => None,
    };
    let Fetched { expr, step, .. } = fetched;
    if step >= LAST_STEP {
        return Err(ProbeError::at(ErrorKind::TooManyDereferences, column));
    }
    let bits = check_store(&expr, step, ty, &text, column)?;
    let arg = Arg { name, text: body.to_string(), expr, ty, bits, count: text.count, length };
    if used + arg.size() > MAX_ARGS_BYTES {
        return Err(ProbeError::at(ErrorKind::EventTooBig, column));
    }
    Ok(arg)
}

/// Makes the address of its text of a named value, and returns what says how long that is. `None` if it is no text.
fn as_string(fetched: &mut Fetched, text: Option<AsText>, user: bool) -> Option<Option<Expr>> {
    match text? {
        AsText::Here => Some(None),
        AsText::Pointed => {
            fetched.expr.derefs.push(Dereference { offset: 0, user });
            fetched.step += 1;
            Some(None)
        }
        AsText::Counted(address, length) => {
            fetched.step = address.derefs.len();
            fetched.expr = address;
            Some(Some(length))
        }
    }
}

/// Reads `:TYPE[N]` behind the `fetch_len` bytes of the expression.
fn type_text(body: &str, fetch_len: usize, start: usize) -> Result<TypeText<'_>, ProbeError> {
    if fetch_len == body.len() {
        return Ok(TypeText { name: None, at: 0, count: None });
    }
    let at = fetch_len + 1;
    let ty = &body[at..];
    let Some((name, array)) = ty.split_once('[') else {
        return Ok(TypeText { name: Some(ty), at, count: None });
    };
    let array_at = start + at + name.len() + 1;
    let Some((size, suffix)) = array.split_once(']') else {
        return Err(ProbeError::at(ErrorKind::ArrayNotClosed, array_at + array.len()));
    };
    if !suffix.is_empty() {
        return Err(ProbeError::at(ErrorKind::BadArraySuffix, array_at + size.len() + 1));
    }
    let count = number::unsigned(size)
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| *count != 0)
        .ok_or(ProbeError::at(ErrorKind::BadArraySize, array_at))?;
    if count > MAX_ARRAY_LEN {
        return Err(ProbeError::at(ErrorKind::ArrayTooBig, array_at));
    }
    Ok(TypeText { name: Some(name), at, count: Some(count) })
}

/// Can a value of this expression be stored as this type? Returns the bits of a bit field.
fn check_store(
    expr: &Expr,
    mut step: usize,
    ty: Type,
    text: &TypeText<'_>,
    column: usize,
) -> Result<Option<Bits>, ProbeError> {
    let at_type = |kind| ProbeError::at(kind, column + text.at);
    let too_deep = ProbeError::at(ErrorKind::TooManyDereferences, column);
    let last = expr.derefs.last();
    let stored_in_place = match ty {
        Type::String { .. } => {
            let constant = matches!(expr.source, Source::Immediate(_) | Source::Comm | Source::Text(_));
            if last.is_none() && (!constant || text.count.is_some()) {
                return Err(at_type(ErrorKind::BadString));
            }
            last.is_some() && text.count.is_none()
        }
        Type::SymbolString => {
            let value = matches!(
                expr.source,
                Source::Register(_) | Source::Argument(_) | Source::StackWord(_) | Source::ReturnValue
            );
            if !last.map_or(value, |deref| !deref.user) {
                return Err(at_type(ErrorKind::BadSymbolString));
            }
            false
        }
        _ => last.is_some(),
    };
    if !stored_in_place {
        step += 1;
        if step >= LAST_STEP {
            return Err(too_deep);
        }
    }
    let bits = match text.name {
        Some(name) => types::bits(name, ty).map_err(|()| at_type(ErrorKind::BadBitfield))?,
        None => None,
    };
    if bits.is_some() {
        step += 1;
        if step >= LAST_STEP {
            return Err(at_type(ErrorKind::BadBitfield));
        }
    }
    if text.count.is_some() {
        if last.is_none() || ty == Type::SymbolString {
            return Err(at_type(ErrorKind::BadString));
        }
        if step + 1 >= LAST_STEP {
            return Err(too_deep);
        }
    }
    Ok(bits)
}

/// Reads FETCH. `column` follows the outermost dereference, as Linux's does.
fn expression(text: &str, column: &mut usize, scope: Scope<'_>) -> Result<Fetched, ProbeError> {
    let here = |kind| Err(ProbeError::at(kind, *column));
    let fetched = match text.chars().next() {
        Some('$') => match text.strip_prefix("$retval") {
            Some(fields) if fields.is_empty() || fields.starts_with(['-', '.']) => {
                if !scope.is_return {
                    return here(ErrorKind::RetvalOnProbe);
                }
                match scope.names.parse_result(fields, *column)? {
                    Some(named) => named.into(),
                    None => Fetched::source(Source::ReturnValue),
                }
            }
            _ => Fetched::source(variable(&text[1..], *column, scope)?),
        },
        Some('%') if !scope.registers => return here(ErrorKind::BadFetchArg),
        Some('%') => match Reg::parse(&text[1..]) {
            Some(reg) => Fetched::source(Source::Register(reg)),
            None => return here(ErrorKind::BadRegister),
        },
        Some('@') => memory(&text[1..], *column)?,
        Some(sign @ ('+' | '-')) => dereference(sign == '-', &text[1..], column, scope)?,
        Some('\\') => Fetched::source(constant(&text[1..], *column)?),
        Some(c) if c.is_ascii_alphabetic() || c == '_' => {
            scope.names.parse(text, *column, scope.at_entry)?.into()
        }
        _ => return here(ErrorKind::BadFetchArg),
    };
    // A chain of fields has as many steps as pointers; what stands around it counts its own.
    if fetched.step >= LAST_STEP {
        return Err(ProbeError::at(ErrorKind::TooManyDereferences, *column));
    }
    Ok(fetched)
}

fn variable(name: &str, column: usize, scope: Scope<'_>) -> Result<Source, ProbeError> {
    let here = |kind| ProbeError::at(kind, column);
    if matches!(name, "comm" | "COMM") {
        return Ok(Source::Comm);
    }
    if name == "stack" {
        return Ok(Source::StackPointer);
    }
    if let Some(word) = name.strip_prefix("stack") {
        return match number::decimal(word) {
            Some(word) if word <= MAX_STACK_WORD => Ok(Source::StackWord(word as u16)),
            Some(_) => Err(here(ErrorKind::BadStackNumber)),
            None => Err(here(ErrorKind::BadVariable)),
        };
    }
    if let Some(arg) = name.strip_prefix("arg") {
        if !scope.at_entry {
            return Err(here(ErrorKind::NotAtEntry));
        }
        return match number::decimal(arg) {
            Some(arg @ 1..=MAX_STACK_WORD) => Ok(Source::Argument(arg as u16 - 1)),
            Some(_) => Err(here(ErrorKind::BadArgNumber)),
            None => Err(here(ErrorKind::BadVariable)),
        };
    }
    Err(here(ErrorKind::BadVariable))
}

/// `@ADDR` and `@SYM`: the memory at a fixed place.
fn memory(text: &str, column: usize) -> Result<Fetched, ProbeError> {
    let here = |kind| ProbeError::at(kind, column);
    let (source, step) = match text.bytes().next() {
        Some(b'0'..=b'9') => {
            let address = number::unsigned(text).ok_or(here(ErrorKind::BadMemoryAddress))?;
            (Source::Immediate(address), 1)
        }
        Some(b'+') => return Err(here(ErrorKind::FileOffsetOnKprobe)),
        // The name takes a step of its own, beside the address that it becomes.
        _ => (Source::SymbolAddress(text.to_string()), 2),
    };
    let expr = Expr { source, derefs: [Dereference { offset: 0, user: false }].into() };
    Ok(Fetched { expr, step, typed: None })
}

/// `±[u]N(FETCH)`, from behind the sign.
fn dereference(
    negative: bool,
    text: &str,
    column: &mut usize,
    scope: Scope<'_>,
) -> Result<Fetched, ProbeError> {
    let (user, text) = match text.strip_prefix('u') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let Some((offset, inner)) = text.split_once('(') else {
        return Err(ProbeError::at(ErrorKind::DereferenceNeedsBrace, *column));
    };
    let value = if negative { number::signed(&format!("-{offset}")) } else { number::signed(offset) };
    let Some(value) = value else {
        return Err(ProbeError::at(ErrorKind::BadDereferenceOffset, *column));
    };
    // Linux's width of `±N(`: neither the `u` nor the second sign of `+-N` counts.
    let second_sign = !negative && offset.starts_with('-');
    let inside = *column + offset.len() + if second_sign { 1 } else { 2 };
    *column = inside;
    let Some((inner, _)) = inner.rsplit_once(')') else {
        return Err(ProbeError::at(ErrorKind::DereferenceNotClosed, inside + inner.len()));
    };
    let Fetched { mut expr, step, .. } = expression(inner, column, scope)?;
    *column = inside;
    if expr.derefs.is_empty() && matches!(expr.source, Source::Comm | Source::Text(_)) {
        return Err(ProbeError::at(ErrorKind::CommDereferenced, inside));
    }
    if step + 1 >= LAST_STEP {
        return Err(ProbeError::at(ErrorKind::TooManyDereferences, inside));
    }
    expr.derefs.push(Dereference { offset: value, user });
    Ok(Fetched { expr, step: step + 1, typed: None })
}

/// `\N` and `\"text"`, from behind the backslash.
fn constant(text: &str, column: usize) -> Result<Source, ProbeError> {
    if let Some(string) = text.strip_prefix('"') {
        return match string.strip_suffix('"') {
            Some(string) => Ok(Source::Text(string.to_string())),
            None => Err(ProbeError::at(ErrorKind::StringNotClosed, column + 2 + string.len())),
        };
    }
    let value = match text.bytes().next() {
        Some(b'0'..=b'9') => number::unsigned(text),
        Some(b'-') => number::signed(text).map(|value| value as u64),
        Some(b'+') => number::signed(&text[1..]).map(|value| value as u64),
        _ => None,
    };
    value.map(Source::Immediate).ok_or(ProbeError::at(ErrorKind::BadImmediate, column + 1))
}
