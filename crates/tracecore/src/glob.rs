//! Patterns over names: `set_ftrace_filter`, `available_events`, shell words.
//!
//! ```text
//! work_add     that name            work_*     all that start so        ?      any one character
//! *_add        all that end so      *add*      all that have it inside  [a-c]  one of these
//! work_*_8     parts in order       !work_*    all but those            [!a-c] one of all others
//!                                                                       \x     x itself
//! ```
//!
//! A pattern with a star at its ends only is recognised when it is read and matched by a plain comparison or
//! search. The general one walks the name once and goes back only to the last star, since an earlier star could
//! not match anything more than it already may: the work is bounded by pattern × name, whatever the pattern.
//!
//! Names here are Rust paths, and `<[u8]>::len` has the characters of a set. So a name that is written exactly as
//! the pattern always matches it: every name that is listed can be typed back. A `[` without its `]` is itself.

/// A text that a pattern is held against, wherever its bytes are.
pub(crate) trait Bytes {
    /// How many there are.
    fn len(&self) -> usize;
    /// The one at a place, if there is one.
    fn byte(&self, at: usize) -> Option<u8>;
}

impl Bytes for [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        self.get(at).copied()
    }
}

/// What a pattern amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// No special character.
    Whole,
    /// A star at the end.
    Start,
    /// A star at the beginning.
    End,
    /// Stars at both.
    Inside,
    /// Anything else.
    General,
}

/// A pattern, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern<'p> {
    text: &'p str,
    /// The text without the stars that the shape stands for.
    core: &'p str,
    shape: Shape,
    negated: bool,
}

impl<'p> Pattern<'p> {
    /// Reads a pattern; a `!` in front turns it into its opposite.
    pub fn new(text: &'p str) -> Self {
        let (negated, text) = match text.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (start, end) = (text.starts_with('*'), text.ends_with('*'));
        let core = text.strip_prefix('*').unwrap_or(text);
        let core = core.strip_suffix('*').unwrap_or(core);
        let shape = match (start, end) {
            _ if core.contains(['*', '?', '[', '\\']) => Shape::General,
            (false, false) => Shape::Whole,
            (false, true) => Shape::Start,
            (true, false) => Shape::End,
            (true, true) => Shape::Inside,
        };
        Self { text, core, shape, negated }
    }

    /// Did it start with `!`?
    pub const fn is_negated(&self) -> bool {
        self.negated
    }

    /// The text without the `!`.
    pub const fn text(&self) -> &'p str {
        self.text
    }

    /// What it amounts to.
    pub(crate) const fn shape(&self) -> Shape {
        self.shape
    }

    /// The text without the stars that its shape stands for.
    pub(crate) const fn core(&self) -> &'p str {
        self.core
    }

    /// Does it stand for one name only?
    pub fn is_exact(&self) -> bool {
        self.shape == Shape::Whole
    }

    /// Is this a name that the pattern, without regard to `!`, stands for?
    pub fn matches(&self, name: &str) -> bool {
        match self.shape {
            Shape::Whole => name == self.core,
            Shape::Start => name.starts_with(self.core),
            Shape::End => name.ends_with(self.core),
            Shape::Inside => name.contains(self.core),
            Shape::General => name == self.text || general(self.text.as_bytes(), name.as_bytes()),
        }
    }
}

/// Does `name` match `pattern`?
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern = Pattern::new(pattern);
    pattern.matches(name) != pattern.is_negated()
}

/// The general case, byte by byte; `?` and sets take a whole UTF-8 character.
pub(crate) fn general<B: Bytes + ?Sized>(pattern: &[u8], name: &B) -> bool {
    let (mut at, mut from) = (0, 0);
    // Behind the last star: where the pattern goes on, and how far the star reaches so far.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, from));
            continue;
        }
        if let Some((next_at, next_from)) = one(pattern, at, name, from) {
            (at, from) = (next_at, next_from);
            continue;
        }
        if at == pattern.len() && from == name.len() {
            return true;
        }
        // Let the star take one character more.
        match star {
            Some((behind, reached)) if reached < name.len() => {
                at = behind;
                from = reached + 1;
                star = Some((behind, from));
            }
            _ => return false,
        }
    }
}

/// Matches one element of the pattern against one character: where both go on, or `None`.
fn one<B: Bytes + ?Sized>(pattern: &[u8], at: usize, name: &B, from: usize) -> Option<(usize, usize)> {
    let byte = name.byte(from)?;
    match *pattern.get(at)? {
        b'?' => Some((at + 1, from + char_len(byte))),
        b'[' => match set(pattern, at + 1, byte) {
            Some((true, behind)) => Some((behind, from + char_len(byte))),
            Some((false, _)) => None,
            None => (byte == b'[').then_some((at + 1, from + 1)),
        },
        b'\\' if at + 1 < pattern.len() => (pattern.get(at + 1) == Some(&byte)).then_some((at + 2, from + 1)),
        literal => (literal == byte).then_some((at + 1, from + 1)),
    }
}

/// Is `byte` in the set whose first element is at `at`? Also where the pattern goes on behind `]`; `None` if there
/// is no `]`.
fn set(pattern: &[u8], mut at: usize, byte: u8) -> Option<(bool, usize)> {
    let inverted = pattern.get(at) == Some(&b'!');
    at += usize::from(inverted);
    let mut found = false;
    let mut first = true;
    loop {
        let low = *pattern.get(at)?;
        // A `]` in the first place is an element.
        if low == b']' && !first {
            return Some((found != inverted, at + 1));
        }
        first = false;
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= low == byte;
                at += 1;
            }
        }
    }
}

/// Bytes of the UTF-8 character that starts with this one.
fn char_len(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn patterns_and_names() {
        for (pattern, yes, no) in [
            ("work_add", &["work_add"][..], &["work_add2", "xwork_add", ""][..]),
            ("work_*", &["work_", "work_add"], &["work", "xwork_"]),
            ("*_add", &["_add", "work_add"], &["work_add2"]),
            ("*add*", &["add", "work_add2"], &["ad", ""]),
            ("*", &["", "x"], &[]),
            ("**", &["", "x"], &[]),
            ("w*_*d", &["w_d", "work_add", "w___d"], &["wd", "work_ad2"]),
            ("a*b*c", &["abc", "aXbYc", "abcbc"], &["acb", "ab"]),
            ("?", &["x", "\u{e9}"], &["", "xy"]),
            ("a?c*", &["abc", "abcd", "a\u{1f980}c"], &["ac"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]x", &["dx"], &["ax", "x"]),
            ("[]x]", &["]", "x"], &["y"]),
            ("a[", &["a["], &["a"]),
            ("a[b-]", &["ab", "a-"], &["ac"]),
            ("a\\*", &["a*"], &["ab"]),
            ("sys_*[0-9]", &["sys_x86", "sys_9"], &["sys_x"]),
            ("!work_*", &["task"], &["work_add"]),
        ] {
            for name in yes {
                assert!(matches(pattern, name), "{pattern} has {name}");
            }
            for name in no {
                assert!(!matches(pattern, name), "{pattern} has not {name}");
            }
        }
    }

    #[test]
    fn every_name_can_be_typed_back() {
        for name in [
            "task::schedule",
            "<[u8]>::len",
            "<fn(u8)->u8 as a::B+Send>::run::{closure#0}",
            "a::<impl b::C for [T;4]>::d",
            "core::ptr::drop_in_place::<[alloc::string::String]>",
        ] {
            assert!(matches(name, name), "{name}");
            assert!(!matches(name, "task::other"));
        }
        assert!(matches("task::*", "task::schedule"));
        assert!(Pattern::new("task::schedule").is_exact());
        assert!(!Pattern::new("task::*").is_exact());
    }

    /// Matches by trying everything, to compare with.
    fn slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|n| slowly(rest, &name[n..])),
            Some((b'?', rest)) => !name.is_empty() && slowly(rest, &name[1..]),
            Some((byte, rest)) => name.first() == Some(byte) && slowly(rest, &name[1..]),
        }
    }

    /// All words over an alphabet up to a length.
    fn words(alphabet: &str, length: usize) -> std::vec::Vec<String> {
        let mut all = std::vec![String::new()];
        let mut last = all.clone();
        for _ in 0..length {
            last = last
                .iter()
                .flat_map(|word| alphabet.chars().map(move |c| std::format!("{word}{c}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn every_short_pattern_agrees_with_the_definition() {
        let names = words("ab", 5);
        for pattern in words("ab*?", 4) {
            for name in &names {
                let want = slowly(pattern.as_bytes(), name.as_bytes());
                assert_eq!(Pattern::new(&pattern).matches(name), want, "{pattern} {name}");
            }
        }
    }

    #[test]
    fn no_pattern_is_slow() {
        let pattern = "a*".repeat(60) + "b";
        let name = "a".repeat(4000);
        assert!(!matches(&pattern, &name));
    }

    #[test]
    fn any_bytes_are_a_pattern() {
        for pattern in words("[]!-a*\\", 4) {
            for name in ["", "a", "]", "[a", "-", "aa]", "\u{e9}"] {
                let _ = matches(&pattern, name);
            }
        }
    }
}
