//! Regular expressions, as `grep` reads them, in time proportional to text × expression.
//!
//! An expression becomes a list of instructions with jumps relative to themselves, so that pieces can be put
//! behind one another and copied (for `{2,5}`):
//!
//! ```text
//!   a|b    Split +1 +3 · a · Jump +2 · b          a*    Split +1 +3 · a · Jump -2
//!   ab     a · b                                  a+    a · Split -1 +1
//!   a?     Split +1 +2 · a
//! ```
//!
//! All places where a match could be are followed at once (Thompson's way): a set of instructions, each with
//! the earliest start from which it was reached. Nothing is tried twice, so no expression can hang `grep`.
//! The longest of the leftmost matches is found, as POSIX wants it.
//!
//! | | basic | extended (`-E`) |
//! |---|---|---|
//! | group | `\( \)` | `( )` |
//! | or | `\|` | `|` |
//! | repeat | `*` `\+` `\?` `\{n,m\}` | `*` `+` `?` `{n,m}` |
//! | both | `.` `[a-z]` `[^a]` `[[:digit:]]` `^` `$` `\<` `\>` `\b` `\w` `\W` `\s` `\S` | |
//!
//! References back (`\1`) are refused: they are not regular.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::glob::{in_class, in_set};

/// Instructions of one expression.
const MAX_INSTRUCTIONS: usize = 4096;
/// Groups inside one another.
const MAX_GROUPS: usize = 32;
/// The most that `{n,m}` may ask for.
const MAX_REPEAT: usize = 255;

#[derive(Clone, Debug, PartialEq)]
enum Op {
    Char(char),
    Any,
    /// A set without its brackets, as [`in_set`] takes it.
    Set(String),
    Split(isize, isize),
    Jump(isize),
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordEdge,
    /// No word goes on to the left, and none to the right.
    NoWordBefore,
    NoWordAfter,
    Match,
}

/// A compiled expression.
pub(crate) struct Regex {
    ops: Vec<Op>,
    ignore_case: bool,
}

/// An open group: alternatives so far, the sequence that is being read, its last piece.
#[derive(Default)]
struct Group {
    before: Option<Vec<Op>>,
    sequence: Vec<Op>,
    last: Option<Vec<Op>>,
}

impl Group {
    /// Starts a new piece.
    fn push(&mut self, piece: Vec<Op>) {
        if let Some(last) = self.last.replace(piece) {
            self.sequence.extend(last);
        }
    }

    /// The whole group.
    fn end(mut self) -> Vec<Op> {
        self.sequence.extend(self.last.take().unwrap_or_default());
        match self.before {
            Some(before) => either(before, self.sequence),
            None => self.sequence,
        }
    }

    /// `|`
    fn alternative(&mut self) {
        let group = core::mem::take(self);
        self.before = Some(group.end());
    }
}

fn offset(n: usize) -> isize {
    isize::try_from(n).unwrap_or(isize::MAX)
}

fn either(a: Vec<Op>, b: Vec<Op>) -> Vec<Op> {
    let mut ops = vec![Op::Split(1, offset(a.len() + 2))];
    let jump = Op::Jump(offset(b.len() + 1));
    ops.extend(a);
    ops.push(jump);
    ops.extend(b);
    ops
}

/// At least `least` and at most `most` times.
fn repeat(piece: &[Op], least: usize, most: Option<usize>) -> Option<Vec<Op>> {
    let len = piece.len();
    let copies = most.map_or(least + 1, |most| most.max(least));
    if copies.checked_mul(len + 2)? > MAX_INSTRUCTIONS {
        return None;
    }
    let mut ops = Vec::new();
    for _ in 0..least {
        ops.extend_from_slice(piece);
    }
    match most {
        None if least > 0 => ops.push(Op::Split(-offset(len), 1)),
        None => {
            ops.push(Op::Split(1, offset(len + 2)));
            ops.extend_from_slice(piece);
            ops.push(Op::Jump(-offset(len + 1)));
        }
        Some(most) => {
            for _ in least..most {
                ops.push(Op::Split(1, offset(len + 1)));
                ops.extend_from_slice(piece);
            }
        }
    }
    Some(ops)
}

/// Reads an expression.
struct Compiler<'a> {
    rest: &'a str,
    extended: bool,
    outer: Vec<Group>,
    group: Group,
}

impl<'a> Compiler<'a> {
    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn push(&mut self, op: Op) {
        self.group.push(vec![op]);
    }

    /// An operator that has a backslash in basic expressions and none in extended ones.
    fn operator(&mut self, letter: &str) -> bool {
        if self.extended {
            return self.eat(letter);
        }
        let escaped = self.rest.strip_prefix('\\').and_then(|rest| rest.strip_prefix(letter));
        if let Some(rest) = escaped {
            self.rest = rest;
        }
        escaped.is_some()
    }

    fn run(mut self) -> Result<Vec<Op>, &'static str> {
        while !self.rest.is_empty() {
            self.piece()?;
            let groups = self.outer.iter().chain(Some(&self.group));
            let size = |g: &Group| g.sequence.len() + g.before.as_ref().map_or(0, Vec::len);
            if groups.map(size).sum::<usize>() > MAX_INSTRUCTIONS {
                return Err("Regular expression too big");
            }
        }
        if !self.outer.is_empty() {
            return Err("Unmatched ( or \\(");
        }
        let mut ops = self.group.end();
        ops.push(Op::Match);
        if ops.len() > MAX_INSTRUCTIONS { Err("Regular expression too big") } else { Ok(ops) }
    }

    fn piece(&mut self) -> Result<(), &'static str> {
        let at_start = self.group.last.is_none() && self.group.sequence.is_empty();
        if self.operator("(") {
            if self.outer.len() > MAX_GROUPS {
                return Err("Regular expression too big");
            }
            self.outer.push(core::mem::take(&mut self.group));
            return Ok(());
        }
        if !self.outer.is_empty() && self.operator(")") {
            let outer = self.outer.pop().unwrap_or_default();
            let ops = core::mem::replace(&mut self.group, outer).end();
            self.group.push(ops);
            return Ok(());
        }
        if !self.extended && self.rest.starts_with("\\)") {
            return Err("Unmatched ) or \\)");
        }
        if self.operator("|") {
            self.group.alternative();
            return Ok(());
        }
        if let Some((least, most)) = self.repetition(at_start)? {
            let Some(last) = self.group.last.take() else {
                // Nothing to repeat: the empty text, as often as wanted.
                return Ok(());
            };
            let ops = repeat(&last, least, most).ok_or("Regular expression too big")?;
            self.group.last = Some(ops);
            return Ok(());
        }
        let Some(c) = self.next() else { return Ok(()) };
        match c {
            '.' => self.push(Op::Any),
            '[' => self.set()?,
            // In a basic expression these are anchors only at the edges.
            '^' if self.extended || at_start => self.push(Op::LineStart),
            '$' if self.extended
                || self.rest.is_empty()
                || self.rest.starts_with("\\)")
                || self.rest.starts_with("\\|") =>
            {
                self.push(Op::LineEnd);
            }
            '\\' => self.escape()?,
            c => self.push(Op::Char(c)),
        }
        Ok(())
    }

    /// `*`, `+`, `?`, `{n,m}`
    fn repetition(&mut self, at_start: bool) -> Result<Option<(usize, Option<usize>)>, &'static str> {
        if at_start && !self.extended {
            // A star that comes first is a star.
            return Ok(None);
        }
        if self.eat("*") {
            return Ok(Some((0, None)));
        }
        if self.operator("+") {
            return Ok(Some((1, None)));
        }
        if self.operator("?") {
            return Ok(Some((0, Some(1))));
        }
        let (open, close) = if self.extended { ("{", "}") } else { ("\\{", "\\}") };
        let Some(rest) = self.rest.strip_prefix(open) else { return Ok(None) };
        let counts = rest.split_once(close).filter(|(inside, _)| {
            inside.starts_with(|c: char| c.is_ascii_digit() || c == ',')
                && inside.bytes().all(|b| b.is_ascii_digit() || b == b',')
        });
        let Some((inside, rest)) = counts else {
            // In an extended expression such a brace is a brace.
            return if self.extended { Ok(None) } else { Err("Unmatched \\{") };
        };
        self.rest = rest;
        let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
        let number = |text: &str| text.parse::<usize>().ok().filter(|n| *n <= MAX_REPEAT);
        let least = if least.is_empty() { 0 } else { number(least).ok_or("Invalid content of \\{\\}")? };
        let most = match most {
            "" => None,
            most => Some(number(most).filter(|most| *most >= least).ok_or("Invalid content of \\{\\}")?),
        };
        Ok(Some((least, most)))
    }

    /// `[…]`, after its bracket; a backslash in it is one.
    fn set(&mut self) -> Result<(), &'static str> {
        let bytes = self.rest.as_bytes();
        let mut at = usize::from(bytes.first() == Some(&b'^'));
        let start = at;
        let end = loop {
            match bytes.get(at) {
                None => return Err("Unmatched [, [^, [:, [., or [="),
                Some(b']') if at > start => break at,
                Some(b'[') if bytes.get(at + 1) == Some(&b':') => {
                    let len = self.rest.get(at + 2..).and_then(|rest| rest.find(":]"));
                    at += 4 + len.ok_or("Unmatched [, [^, [:, [., or [=")?;
                }
                Some(_) => at += 1,
            }
        };
        let inside = self.rest.get(..end).unwrap_or_default();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        // The matcher of patterns takes `!` for "not" and `\` for an escape.
        let escaped = inside.replace('\\', "\\\\");
        let set = match escaped.strip_prefix('!') {
            Some(rest) => "\\!".to_string() + rest,
            None => escaped,
        };
        self.push(Op::Set(set));
        Ok(())
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let op = match self.next() {
            None => return Err("Trailing backslash"),
            Some('<') => Op::WordStart,
            Some('>') => Op::WordEnd,
            Some('b') => Op::WordEdge,
            Some('w') => Op::Set("[:alnum:]_".to_string()),
            Some('W') => Op::Set("^[:alnum:]_".to_string()),
            Some('s') => Op::Set("[:space:]".to_string()),
            Some('S') => Op::Set("^[:space:]".to_string()),
            Some('1'..='9') => return Err("back-references are not supported"),
            Some(c) => Op::Char(c),
        };
        self.push(op);
        Ok(())
    }
}

/// The character at a position and its length; a byte that is none counts as one.
fn char_at(text: &[u8], at: usize) -> Option<(char, usize)> {
    let first = *text.get(at)?;
    if first.is_ascii() {
        return Some((char::from(first), 1));
    }
    let rest = text.get(at..(at + 4).min(text.len()))?;
    let valid = match core::str::from_utf8(rest) {
        Ok(valid) => valid,
        Err(e) => core::str::from_utf8(rest.get(..e.valid_up_to())?).ok()?,
    };
    Some(valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8())))
}

fn is_word(text: &[u8], at: Option<usize>) -> bool {
    at.and_then(|at| text.get(at))
        .is_some_and(|&b| b == b'_' || in_class("alnum", char::from(b)) && b.is_ascii())
}

/// The places that are followed: for each instruction the earliest start.
struct Threads {
    starts: Vec<Option<usize>>,
    list: Vec<usize>,
    /// Instructions whose followers are to be added.
    todo: Vec<usize>,
}

impl Threads {
    fn clear(&mut self) {
        for at in self.list.drain(..) {
            if let Some(start) = self.starts.get_mut(at) {
                *start = None;
            }
        }
    }
}

impl Regex {
    /// Compiles an expression.
    pub(crate) fn new(text: &str, extended: bool, ignore_case: bool) -> Result<Self, &'static str> {
        let ops = Compiler { rest: text, extended, outer: Vec::new(), group: Group::default() }.run()?;
        Ok(Self { ops, ignore_case })
    }

    /// The same, but a match must be a whole line (`grep -x`), or no part of a longer word (`-w`). These are
    /// conditions like any other, so a shorter match that meets them is found where the longest does not.
    pub(crate) fn bounded(mut self, line: bool, word: bool) -> Self {
        let (start, end) = match (line, word) {
            (true, _) => (Op::LineStart, Op::LineEnd),
            (false, true) => (Op::NoWordBefore, Op::NoWordAfter),
            (false, false) => return self,
        };
        self.ops.pop();
        self.ops.insert(0, start);
        self.ops.extend([end, Op::Match]);
        self
    }

    /// An expression that is just this text.
    pub(crate) fn literal(text: &str, ignore_case: bool) -> Self {
        let mut ops: Vec<Op> = text.chars().map(Op::Char).collect();
        ops.push(Op::Match);
        Self { ops, ignore_case }
    }

    /// The leftmost match at or after `from`, the longest of those.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let fresh = || Threads { starts: vec![None; self.ops.len()], list: Vec::new(), todo: Vec::new() };
        let (mut now, mut next) = (fresh(), fresh());
        let mut best: Option<(usize, usize)> = None;
        let mut at = from;
        loop {
            if best.is_none() {
                self.follow(&mut now, 0, at, text, at);
            }
            let here = char_at(text, at);
            for place in 0..now.list.len() {
                let Some(&pc) = now.list.get(place) else { break };
                let (Some(op), Some(start)) = (self.ops.get(pc), now.starts.get(pc).copied().flatten())
                else {
                    continue;
                };
                if best.is_some_and(|(earliest, _)| start > earliest) {
                    continue;
                }
                if *op == Op::Match {
                    best = Some((start, at));
                } else if let Some((c, len)) = here
                    && self.takes(op, c)
                {
                    self.follow(&mut next, pc + 1, start, text, at + len);
                }
            }
            now.clear();
            core::mem::swap(&mut now, &mut next);
            let Some((_, len)) = here else { return best };
            if best.is_some() && now.list.is_empty() {
                return best;
            }
            at += len;
        }
    }

    fn takes(&self, op: &Op, c: char) -> bool {
        let folded = |a: char, b: char| a == b || (self.ignore_case && a.to_lowercase().eq(b.to_lowercase()));
        match op {
            Op::Any => true,
            Op::Char(wanted) => folded(*wanted, c),
            Op::Set(set) if self.ignore_case => {
                // "Not" is taken off first: `[^a]` must not match `a` because it matches `A`.
                let positive = set.strip_prefix('^').unwrap_or(set);
                let mut variants = c.to_lowercase().chain(c.to_uppercase());
                variants.any(|c| in_set(positive, c)) == (positive.len() == set.len())
            }
            Op::Set(set) => in_set(set, c),
            _ => false,
        }
    }

    /// Adds an instruction and all that can be reached from it without taking a character.
    fn follow(&self, threads: &mut Threads, pc: usize, start: usize, text: &[u8], at: usize) {
        threads.todo.push(pc);
        while let Some(pc) = threads.todo.pop() {
            let Some(op) = self.ops.get(pc) else { continue };
            match threads.starts.get_mut(pc) {
                Some(Some(known)) if *known <= start => continue,
                Some(slot) => {
                    if slot.replace(start).is_none() {
                        threads.list.push(pc);
                    }
                }
                None => continue,
            }
            let before = is_word(text, at.checked_sub(1));
            let after = is_word(text, Some(at));
            let step = |by: isize| pc.checked_add_signed(by);
            match op {
                Op::Jump(by) => threads.todo.extend(step(*by)),
                Op::Split(a, b) => {
                    threads.todo.extend(step(*b));
                    threads.todo.extend(step(*a));
                }
                Op::LineStart if at == 0 => threads.todo.push(pc + 1),
                Op::LineEnd if at == text.len() => threads.todo.push(pc + 1),
                Op::WordStart if !before && after => threads.todo.push(pc + 1),
                Op::WordEnd if before && !after => threads.todo.push(pc + 1),
                Op::WordEdge if before != after => threads.todo.push(pc + 1),
                Op::NoWordBefore if !before => threads.todo.push(pc + 1),
                Op::NoWordAfter if !after => threads.todo.push(pc + 1),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Regex;

    fn found(text: &str, extended: bool, line: &str) -> Option<(usize, usize)> {
        Regex::new(text, extended, false).unwrap_or_else(|e| panic!("{text}: {e}")).find(line.as_bytes(), 0)
    }

    #[test]
    fn basic() {
        for (regex, line, expected) in [
            ("", "abc", Some((0, 0))),
            ("b", "abc", Some((1, 2))),
            ("^b", "abc", None),
            ("c$", "abc", Some((2, 3))),
            ("a.c", "xaéc", Some((1, 5))),
            ("ab*c", "ac abbc", Some((0, 2))),
            ("b*", "abbb", Some((0, 0))),
            ("bb*", "abbb", Some((1, 4))),
            ("*a", "*a", Some((0, 2))),
            ("a+", "aa+", Some((1, 3))),
            ("a\\+", "aa+", Some((0, 2))),
            ("\\(ab\\)*c", "xababc", Some((1, 6))),
            ("a\\|bc", "xbc", Some((1, 3))),
            ("a\\{2,3\\}", "aaaa", Some((0, 3))),
            ("a\\{2\\}$", "aaa", Some((1, 3))),
            ("[0-9][0-9]*", "x42y", Some((1, 3))),
            ("[^a-c]", "abcd", Some((3, 4))),
            ("[]]", "a]", Some((1, 2))),
            ("[!a]", "b!", Some((1, 2))),
            ("[\\]", "a\\", Some((1, 2))),
            ("[[:upper:]]", "abC", Some((2, 3))),
            ("a^b$c", "a^b$c", Some((0, 5))),
            ("\\.", "a.b", Some((1, 2))),
            ("\\<to\\>", "into to", Some((5, 7))),
            ("(a)", "(a)", Some((0, 3))),
        ] {
            assert_eq!(found(regex, false, line), expected, "{regex} in {line}");
        }
    }

    #[test]
    fn extended() {
        for (regex, line, expected) in [
            ("a|ab|abc", "xabcd", Some((1, 4))),
            ("(a|b)+c", "xabac", Some((1, 5))),
            ("a?b", "ab b", Some((0, 2))),
            ("x{2,}", "xxxx", Some((0, 4))),
            ("x{3}", "xx", None),
            ("^(foo|bar)$", "bar", Some((0, 3))),
            ("(a*)*b", "aaab", Some((0, 4))),
            ("(a*)+", "b", Some((0, 0))),
            ("(|a)b", "ab", Some((0, 2))),
            ("a{,2}b", "aaab", Some((1, 4))),
            ("\\(a\\)", "(a)", Some((0, 3))),
            ("a{x", "a{x", Some((0, 3))),
            ("[a-z]+_[0-9]+", "see work_12 here", Some((4, 11))),
            ("[a-z]+_[a-z0-9]+", "see work_12 here", Some((4, 11))),
        ] {
            assert_eq!(found(regex, true, line), expected, "{regex} in {line}");
        }
    }

    #[test]
    fn errors() {
        for regex in ["(a", "[a", "a\\", "\\1", "a{300}", "(a{200}){200}"] {
            assert!(Regex::new(regex, true, false).is_err(), "{regex}");
        }
        assert!(Regex::new("\\(a", false, false).is_err());
        assert!(Regex::new("a\\)", false, false).is_err());
    }

    #[test]
    fn no_expression_explodes() {
        let line = "a".repeat(2000);
        assert_eq!(found("(a*)*(a*)*(a|aa)*b", true, &line), None);
        assert_eq!(found("(x+x+)+y", true, &"x".repeat(2000)), None);
    }

    #[test]
    fn bytes_that_are_no_text() {
        let regex = Regex::new("a.b", false, false).unwrap();
        assert_eq!(regex.find(b"\xff\xfea\xffb", 0), Some((2, 5)));
    }

    #[test]
    fn case() {
        let regex = Regex::new("[a-c]É", false, true).unwrap();
        assert_eq!(regex.find("xBé".as_bytes(), 0), Some((1, 4)));
        let regex = Regex::new("[^a]b", false, true).unwrap();
        assert_eq!(
            (regex.find(b"AB", 0), regex.find(b"aB", 0), regex.find(b"cB", 0)),
            (None, None, Some((0, 2)))
        );
    }

    #[test]
    fn bounds() {
        let find = |regex: &str, line, word, text: &str| {
            Regex::new(regex, true, false).unwrap().bounded(line, word).find(text.as_bytes(), 0)
        };
        assert_eq!(find("a|ab", true, false, "ab"), Some((0, 2)));
        assert_eq!(find("a|ab", true, false, "abc"), None);
        assert_eq!(find("ab", false, true, "abc ab"), Some((4, 6)));
        assert_eq!(find(".*b", false, true, "ab:b1"), Some((0, 2)));
        assert_eq!(find("b*", false, true, "-3"), Some((0, 0)));
        assert_eq!(find("a|b", false, true, "ab_"), None);
    }
}
