//! Patterns: `*`, `?`, `[…]`, and their search in directories.
//!
//! A pattern matches a whole text. `\` makes the next character stand for itself; that is also how quoted
//! parts of a word come here. In `[…]` there are ranges, `!` or `^` for "not", and classes like `[:digit:]`.
//! Matching keeps one place to come back to (after the last `*`), so its time is at worst text × pattern and
//! its stack does not grow.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::ctx::Ctx;
use crate::limits::{MAX_FIELDS, MAX_GLOB_STEPS};
use crate::sys::FileKind;

/// One element of a pattern.
enum Element<'a> {
    Any,
    Many,
    Char(char),
    Set(&'a str),
}

/// Cuts the first element off.
fn first(pattern: &str) -> Option<(Element<'_>, &str)> {
    let mut chars = pattern.chars();
    let c = chars.next()?;
    let rest = chars.as_str();
    Some(match c {
        '*' => (Element::Many, rest),
        '?' => (Element::Any, rest),
        '\\' => match chars.next() {
            Some(escaped) => (Element::Char(escaped), chars.as_str()),
            None => (Element::Char('\\'), rest),
        },
        '[' => match set_len(rest) {
            Some(len) => {
                (Element::Set(rest.get(..len).unwrap_or_default()), rest.get(len + 1..).unwrap_or_default())
            }
            // Without an end it is a bracket.
            None => (Element::Char('['), rest),
        },
        c => (Element::Char(c), rest),
    })
}

/// The length of a set up to its `]`; one that comes first belongs to the set.
fn set_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'!' | b'^')));
    let start = at;
    loop {
        match bytes.get(at)? {
            b']' if at > start => return Some(at),
            b'\\' => at += 2,
            b'[' if bytes.get(at + 1) == Some(&b':') => match text.get(at + 2..).and_then(|t| t.find(":]")) {
                Some(len) => at += len + 4,
                None => at += 1,
            },
            _ => at += 1,
        }
    }
}

/// Is `c` in the class of that name?
pub(crate) fn in_class(name: &str, c: char) -> bool {
    match name {
        "alpha" => c.is_alphabetic(),
        "digit" => c.is_ascii_digit(),
        "alnum" => c.is_alphanumeric(),
        "upper" => c.is_uppercase(),
        "lower" => c.is_lowercase(),
        "space" => c.is_whitespace(),
        "blank" => c == ' ' || c == '\t',
        "punct" => c.is_ascii_punctuation(),
        "print" => !c.is_control(),
        "graph" => !c.is_control() && !c.is_whitespace(),
        "cntrl" => c.is_control(),
        "xdigit" => c.is_ascii_hexdigit(),
        _ => false,
    }
}

/// Is `c` in the set (without its brackets)?
pub(crate) fn in_set(set: &str, c: char) -> bool {
    let (negated, mut rest) = match set.strip_prefix(['!', '^']) {
        Some(rest) => (true, rest),
        None => (false, set),
    };
    let mut found = false;
    while !rest.is_empty() {
        if let Some((name, after)) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) {
            found |= in_class(name, c);
            rest = after;
            continue;
        }
        let Some((low, after)) = set_char(rest) else { break };
        rest = after;
        let mut high = low;
        if let Some((end, after)) = after.strip_prefix('-').and_then(set_char) {
            high = end;
            rest = after;
        }
        found |= (low..=high).contains(&c);
    }
    found != negated
}

/// A character of a set, its escape undone.
fn set_char(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    let c = match chars.next()? {
        '\\' => chars.next().unwrap_or('\\'),
        c => c,
    };
    Some((c, chars.as_str()))
}

/// Does the pattern match the whole text?
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on when what follows the last `*` did not fit: let it take one character more.
    let mut back: Option<(&str, &str)> = None;
    loop {
        let step = match (first(pattern), text.chars().next()) {
            (None, None) => return true,
            (Some((Element::Many, rest)), _) => {
                back = Some((rest, text));
                pattern = rest;
                continue;
            }
            (Some((element, rest)), Some(c)) => match element {
                Element::Any => Some(rest),
                Element::Char(wanted) => (wanted == c).then_some(rest),
                Element::Set(set) => in_set(set, c).then_some(rest),
                Element::Many => None,
            },
            _ => None,
        };
        if let Some(rest) = step {
            pattern = rest;
            text = without_first(text);
            continue;
        }
        let Some((rest, from)) = back.filter(|(_, from)| !from.is_empty()) else { return false };
        let from = without_first(from);
        back = Some((rest, from));
        (pattern, text) = (rest, from);
    }
}

fn without_first(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// Takes the escapes out of a pattern that has nothing else in it.
#[must_use]
pub(crate) fn unescape(pattern: &str) -> String {
    let mut text = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    text
}

/// Has the pattern an unescaped `*`, `?` or `[`?
#[must_use]
pub(crate) fn is_pattern(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// The paths that the pattern matches, sorted; none if there are none. Names that start with a dot are
/// matched only by a pattern that does. `None` when it would be more work than [`MAX_GLOB_STEPS`].
#[inline(never)]
pub(crate) fn paths(ctx: &Ctx, pattern: &str) -> Option<Vec<String>> {
    let absolute = pattern.starts_with('/');
    let mut found = vec![String::from(if absolute { "/" } else { "" })];
    let mut steps = 0;
    let mut parts = pattern.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let more = parts.peek().is_some();
        let mut next = Vec::new();
        for base in found {
            if !is_pattern(part) {
                let path = join(&base, &unescape(part));
                if more || ctx.sys.lstat(&ctx.path(&path)).is_ok() {
                    next.push(path);
                }
                continue;
            }
            let place = if base.is_empty() { "." } else { &base };
            let Ok(entries) = ctx.sys.read_dir(&ctx.path(place)) else { continue };
            steps += entries.len() + 1;
            if steps > MAX_GLOB_STEPS || ctx.stopped().is_some() {
                return None;
            }
            let mut names: Vec<String> = entries
                .into_iter()
                .filter(|e| !more || matches!(e.kind, FileKind::Dir | FileKind::Symlink))
                .map(|e| e.name)
                .filter(|name| (part.starts_with('.') || !name.starts_with('.')) && matches(part, name))
                .collect();
            names.sort_unstable();
            next.extend(names.iter().map(|name| join(&base, name)));
            if next.len() > MAX_FIELDS {
                return None;
            }
        }
        found = next;
    }
    if pattern.ends_with('/') {
        found.retain(|path| ctx.sys.stat(&ctx.path(path)).is_ok_and(|s| s.kind == FileKind::Dir));
        found.iter_mut().for_each(|path| path.push('/'));
    }
    Some(found)
}

fn join(base: &str, name: &str) -> String {
    if base.is_empty() || base.ends_with('/') {
        format!("{base}{name}")
    } else {
        [base, name].join("/").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("*.rs", "lib.rs", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("?", "é", true),
            ("??", "é", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]]", "]", true),
            ("[!]]", "a", true),
            ("[a", "[a", true),
            ("[[:digit:]]*", "7up", true),
            ("[[:alpha:]_]", "_", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\]]", "]", true),
            ("a\\", "a\\", true),
            ("*aaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
        }
    }
}
