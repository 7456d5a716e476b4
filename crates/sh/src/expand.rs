//! From words to fields: parameters, substitutions, arithmetic, splitting, names of files.
//!
//! ```text
//!   "$a"*.c $b        one word after the other, one part after the other:
//!      │               quoted text      goes into the current field, its *, ? and [ escaped by \
//!      ▼               unquoted text    goes into it as it is
//!   Fields             unquoted value   is split at the characters of IFS: ends fields, starts fields
//!      │
//!      ▼  at the end of each field
//!   has it an unescaped * ? or [ ?  ── yes ──▶ the matching paths, if there are any
//!      └── no ──▶ the text, escapes removed
//! ```
//!
//! What is assigned, redirected to or compared by `case` takes the same way with a simpler end.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};

use tracecore::errno::Errno;

use crate::arith;
use crate::code::{ParamOp, Part, Script, Word};
use crate::glob;
use crate::limits::{MAX_EXPANSION_BYTES, MAX_FIELDS, MAX_WORD_BYTES, OUT_BUFFER};
use crate::shell::{Halt, Shell};

/// What is to come out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Fields: split and matched against files.
    Fields,
    /// One text.
    Text,
    /// One pattern: quoted parts are escaped.
    Pattern,
}

/// Fields under construction.
struct Fields {
    aim: Aim,
    ifs: String,
    done: Vec<String>,
    current: String,
    /// The current field exists, even if it is empty.
    open: bool,
    /// The last field was ended by white space: one other separator still belongs to that end.
    after_blank: bool,
    bytes: usize,
}

impl Fields {
    fn new(aim: Aim, ifs: String) -> Self {
        Self { aim, ifs, done: Vec::new(), current: String::new(), open: false, after_blank: false, bytes: 0 }
    }

    fn too_big(&self) -> bool {
        self.done.len() > MAX_FIELDS || self.bytes > MAX_EXPANSION_BYTES
    }

    /// Adds a character; an escaped one loses its meaning in patterns.
    fn push(&mut self, c: char, escaped: bool) {
        if self.aim != Aim::Text && escaped && matches!(c, '*' | '?' | '[' | ']' | '\\' | '-' | '!' | '^') {
            self.current.push('\\');
        }
        self.current.push(c);
        self.bytes += c.len_utf8();
        self.open = true;
        self.after_blank = false;
    }

    /// Text in quotes; it makes a field even if it is empty.
    fn quoted(&mut self, text: &str) {
        self.open = true;
        self.after_blank = false;
        for c in text.chars() {
            self.push(c, true);
        }
    }

    /// Text of the command itself.
    fn literal(&mut self, text: &str) {
        for c in text.chars() {
            self.push(c, c == '\\');
        }
    }

    /// The value of an expansion without quotes.
    fn split(&mut self, text: &str) {
        if self.aim != Aim::Fields {
            self.literal(text);
            return;
        }
        for c in text.chars() {
            if !self.ifs.contains(c) {
                self.push(c, c == '\\');
            } else if c == ' ' || c == '\t' || c == '\n' {
                if self.open {
                    self.end();
                    self.after_blank = true;
                }
            } else if self.after_blank {
                self.after_blank = false;
            } else {
                self.end();
            }
            if self.too_big() {
                return;
            }
        }
    }

    /// Ends the current field.
    fn end(&mut self) {
        self.done.push(core::mem::take(&mut self.current));
        self.bytes += 1;
        self.open = false;
        self.after_blank = false;
    }

    /// Ends a word.
    fn end_word(&mut self) {
        if self.open {
            self.end();
        }
        self.after_blank = false;
    }
}

impl Shell {
    /// The fields of some words.
    #[inline(never)]
    pub(crate) fn fields(&mut self, script: &Arc<Script>, words: &[Word]) -> Result<Vec<String>, Halt> {
        let mut fields = Fields::new(Aim::Fields, self.ifs());
        let mut out = Vec::new();
        for word in words {
            self.word(script, word, &mut fields, false)?;
            fields.end_word();
            // Word by word: what a later word runs may make files.
            for field in core::mem::take(&mut fields.done) {
                self.match_files(&field, &mut out)?;
            }
        }
        Ok(out)
    }

    /// Adds a field, or the paths it matches.
    fn match_files(&mut self, field: &str, out: &mut Vec<String>) -> Result<(), Halt> {
        if !glob::is_pattern(field) {
            out.push(glob::unescape(field));
        } else {
            match glob::paths(&self.ctx, field) {
                None => {
                    self.interrupted()?;
                    return Err(self.abandon(format_args!("{}: too many files", glob::unescape(field))));
                }
                Some(paths) if paths.is_empty() => out.push(glob::unescape(field)),
                Some(mut paths) => out.append(&mut paths),
            }
        }
        if out.len() > MAX_FIELDS {
            return Err(self.abandon(format_args!("argument list too long")));
        }
        Ok(())
    }

    /// The text of one word: not split, not matched.
    pub(crate) fn text(&mut self, script: &Arc<Script>, word: &Word) -> Result<String, Halt> {
        self.one(script, word, Aim::Text)
    }

    /// The pattern of one word.
    pub(crate) fn pattern(&mut self, script: &Arc<Script>, word: &Word) -> Result<String, Halt> {
        self.one(script, word, Aim::Pattern)
    }

    #[inline(never)]
    fn one(&mut self, script: &Arc<Script>, word: &Word, aim: Aim) -> Result<String, Halt> {
        let mut fields = Fields::new(aim, String::new());
        self.word(script, word, &mut fields, false)?;
        Ok(fields.current)
    }

    fn ifs(&self) -> String {
        self.var("IFS").unwrap_or(" \t\n").to_owned()
    }

    /// Takes `~` at the start of a word for the home directory; gives the rest of the text.
    #[inline(never)]
    fn home<'t>(&self, text: &'t str, alone: bool, fields: &mut Fields) -> &'t str {
        if !(text.starts_with("~/") || (alone && text == "~")) {
            return text;
        }
        let home = self.var("HOME").unwrap_or("/").trim_end_matches('/');
        let rest = text.strip_prefix('~').unwrap_or(text);
        fields.quoted(home);
        if home.is_empty() && rest.is_empty() { "/" } else { rest }
    }

    #[inline(never)]
    fn word(
        &mut self,
        script: &Arc<Script>,
        word: &Word,
        fields: &mut Fields,
        in_param: bool,
    ) -> Result<(), Halt> {
        for (at, part) in word.parts.iter().enumerate() {
            match part {
                Part::Text(text) => {
                    let text = if at == 0 { self.home(text, word.parts.len() == 1, fields) } else { text };
                    if in_param { fields.split(text) } else { fields.literal(text) }
                }
                Part::Quoted(text) => fields.quoted(text),
                Part::Param { name, op, quoted } => self.param(script, name, op, *quoted, fields)?,
                Part::Command { unit, quoted } => {
                    let text = self.substitute(script, *unit)?;
                    if *quoted { fields.quoted(&text) } else { fields.split(&text) }
                }
                Part::Arith { word, quoted } => {
                    let value = self.arithmetic(script, word)?;
                    if *quoted { fields.quoted(&value) } else { fields.split(&value) }
                }
            }
            if fields.too_big() {
                return Err(self.abandon(format_args!("expansion too long")));
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn param(
        &mut self,
        script: &Arc<Script>,
        name: &str,
        op: &ParamOp,
        quoted: bool,
        fields: &mut Fields,
    ) -> Result<(), Halt> {
        if matches!(name, "@" | "*") && *op == ParamOp::Get {
            self.all_params(name == "*", quoted, fields);
            return Ok(());
        }
        let value = self.param_value(name);
        let usable = |colon: bool| value.as_deref().is_some_and(|value| !(colon && value.is_empty()));
        let text = match op {
            ParamOp::Get => match value {
                None if self.options.nounset => {
                    return Err(self.abandon(format_args!("{name}: parameter not set")));
                }
                value => value.unwrap_or_default(),
            },
            ParamOp::Length if matches!(name, "@" | "*") => self.params.len().to_string(),
            ParamOp::Length => value.unwrap_or_default().chars().count().to_string(),
            ParamOp::Default { colon, word } => {
                if !usable(*colon) {
                    return self.word(script, word, fields, true);
                }
                value.unwrap_or_default()
            }
            ParamOp::Alternate { colon, word } => {
                if usable(*colon) {
                    return self.word(script, word, fields, true);
                }
                String::new()
            }
            ParamOp::Assign { colon, word } => {
                if usable(*colon) {
                    value.unwrap_or_default()
                } else {
                    let text = self.text(script, word)?;
                    if let Err(message) = self.set(name, text.clone()) {
                        return Err(self.abandon(format_args!("{message}")));
                    }
                    text
                }
            }
            ParamOp::Require { colon, word } => {
                if !usable(*colon) {
                    let text = self.text(script, word)?;
                    let text = if text.is_empty() { "parameter not set" } else { &text };
                    return Err(self.abandon(format_args!("{name}: {text}")));
                }
                value.unwrap_or_default()
            }
            ParamOp::TrimStart { longest, word } | ParamOp::TrimEnd { longest, word } => {
                let pattern = self.pattern(script, word)?;
                let start = matches!(op, ParamOp::TrimStart { .. });
                self.trim(&value.unwrap_or_default(), &pattern, start, *longest)?
            }
        };
        if quoted {
            fields.quoted(&text)
        } else {
            fields.split(&text)
        }
        Ok(())
    }

    /// `$@` and `$*`.
    #[inline(never)]
    fn all_params(&self, star: bool, quoted: bool, fields: &mut Fields) {
        if quoted && (star || fields.aim != Aim::Fields) {
            let separator = match self.var("IFS") {
                Some(ifs) if star => ifs.chars().next().map(String::from).unwrap_or_default(),
                _ => " ".to_owned(),
            };
            fields.quoted(&self.params.join(&separator));
            return;
        }
        for (at, param) in self.params.iter().enumerate() {
            if at > 0 {
                if fields.aim != Aim::Fields {
                    fields.push(' ', false);
                } else if fields.open {
                    fields.end();
                }
            }
            if quoted { fields.quoted(param) } else { fields.split(param) }
        }
    }

    /// `$((…))`
    #[inline(never)]
    fn arithmetic(&mut self, script: &Arc<Script>, word: &Word) -> Result<String, Halt> {
        let text = self.text(script, word)?;
        match arith::evaluate(&text, self) {
            Ok(value) => Ok(value.to_string()),
            Err(message) => Err(self.abandon(format_args!("{message}"))),
        }
    }

    /// The value of `$NAME`, special ones included.
    #[inline(never)]
    fn param_value(&self, name: &str) -> Option<String> {
        Some(match name {
            "?" => self.status.to_string(),
            "#" => self.params.len().to_string(),
            "$" => self.pid.to_string(),
            "!" => return self.last_job.map(|pid| pid.to_string()),
            "-" => self.options.letters(),
            "@" | "*" => return (!self.params.is_empty()).then(|| self.params.join(" ")),
            "0" => self.arg0.clone(),
            _ if name.starts_with(|c: char| c.is_ascii_digit()) => {
                let at: usize = name.parse().ok()?;
                return self.params.get(at.checked_sub(1)?).cloned();
            }
            _ => return self.var(name).map(str::to_owned),
        })
    }

    /// `${x#p}`, `${x##p}`, `${x%p}`, `${x%%p}`
    #[inline(never)]
    fn trim(&mut self, value: &str, pattern: &str, start: bool, longest: bool) -> Result<String, Halt> {
        if value.len() > MAX_WORD_BYTES {
            return Err(self.abandon(format_args!("value too long for a pattern")));
        }
        let mut cuts: Vec<usize> = value.char_indices().map(|(at, _)| at).collect();
        cuts.push(value.len());
        // Cuts from the one that takes away least to the one that takes away most, or the other way round.
        if start == longest {
            cuts.reverse();
        }
        for cut in cuts {
            self.interrupted()?;
            let (head, tail) = value.split_at(cut);
            let (taken, left) = if start { (head, tail) } else { (tail, head) };
            if glob::matches(pattern, taken) {
                return Ok(left.to_owned());
            }
        }
        Ok(value.to_owned())
    }

    /// `$(…)`: runs a unit in a task of its own and takes what it prints, without the newlines at the end.
    #[inline(never)]
    fn substitute(&mut self, script: &Arc<Script>, unit: usize) -> Result<String, Halt> {
        let (reader, writer) = match self.ctx.sys.pipe() {
            Ok(ends) => ends,
            Err(e) => return Err(self.abandon(format_args!("cannot make a pipe: {}", e.strerror()))),
        };
        let mut child = self.fork()?;
        child.ctx.stdout = writer;
        let task = self.spawn(child, script, unit, None)?;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; OUT_BUFFER];
        let result = loop {
            match self.ctx.read(&*reader, &mut chunk) {
                Ok(0) => break Ok(()),
                Ok(n) => bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(e) => break Err(e),
            }
            if bytes.len() > MAX_EXPANSION_BYTES {
                break Err(Errno::E2BIG);
            }
        };
        // From here on a task that still prints gets EPIPE.
        drop(reader);
        let status = self.wait_for(&*task)?;
        self.interrupted()?;
        if let Err(e) = result {
            return Err(self.abandon(format_args!("command substitution: {}", e.strerror())));
        }
        self.substituted = Some(status);
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_end_matches('\n').replace('\0', ""))
    }
}

impl arith::Vars for Shell {
    fn get(&self, name: &str) -> Option<String> {
        self.var(name).map(str::to_owned)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        Shell::set(self, name, value).map_err(|message| format!("arithmetic expression: {message}"))
    }
}
