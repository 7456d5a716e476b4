//! How a Rust path becomes a symbol name that can be typed.
//!
//! `available_filter_functions` lists names, and each one must mean exactly one function when it is
//! typed back to `set_ftrace_filter` (which splits at blanks and reads `*`, `?`, `[…]` as globs) or to
//! `kprobe_events` (which splits at blanks and cuts an offset off at `+`). A demangled Rust path knows
//! nothing of that, so it is rewritten:
//!
//! | in the path | in the name | |
//! |---|---|---|
//! | `kernel::task::schedule` | `task::schedule` | this crate goes without saying, wherever a path starts |
//! | `<task::Task as Debug>::fmt` | `<task::Task_as_Debug>::fmt` | a blank between words is `_` |
//! | `Pair<A, B>` | `Pair<A,B>` | other blanks go |
//! | `[u8]`, `[u8; 16]` | `{u8}`, `{u8;16}` | no glob sets |
//! | `*const T`, `*mut T` | `ptr_const_T`, `ptr_mut_T` | no glob star |
//! | `fn(u8) -> u8` | `fn(u8)_to_u8` | |
//! | `dyn A + B` | `dyn_A_and_B` | no `+` but before an offset |
//! | `-> !` | `_to_never` | |
//! | `&'a T`, `'x'`, `"x"` | `&a_T`, `x`, `x` | no quotes |
//!
//! Anything else that is not a letter, a digit or one of `_ : < > { } ( ) , ; # & . =` becomes `_`.
//! Two functions can still come out alike (one generic function compiled into two crates): [`unique`]
//! numbers the later ones `name.1`, `name.2`, … in an order that does not depend on addresses.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::NAME_MAX;

/// The crate whose name goes without saying.
const HOME: &str = "kernel::";

/// Punctuation that may stand in a name.
const KEPT: &str = "_:<>{}(),;#&.=";

/// Rewrites the demangled path `path`, without its crate hash, by the table above.
///
/// Never longer than [`NAME_MAX`]: the end of a longer name is replaced by `~` and a hash of it all,
/// so that it still means one function.
pub fn tidy(path: &str) -> String {
    let mut words = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with(HOME) && starts_path(&words) {
            rest = &rest[HOME.len()..];
            continue;
        }
        if let Some((from, to)) = WHOLE.iter().find(|(from, _)| rest.starts_with(from)) {
            words.push_str(to);
            rest = &rest[from.len()..];
            continue;
        }
        match c {
            '[' => words.push('{'),
            ']' => words.push('}'),
            '\'' | '"' => {}
            c => words.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    shorten(join_words(&words))
}

/// Replacements of several characters, the longest first.
const WHOLE: &[(&str, &str)] = &[
    ("*const ", "ptr_const_"),
    ("*mut ", "ptr_mut_"),
    (" -> ", "_to_"),
    (" + ", "_and_"),
    (" = ", "="),
    (", ", ","),
    ("; ", ";"),
    (": ", ":"),
    ("{ ", "{"),
    (" }", "}"),
];

/// Whether a path can start behind `before`: not in the middle of a word or of a path.
fn starts_path(before: &str) -> bool {
    !before.ends_with(|c: char| c == '_' || c == ':' || c.is_alphanumeric())
        || WHOLE.iter().any(|(_, to)| to.ends_with('_') && before.ends_with(to))
}

/// Turns blanks and what may not stand in a name into `_`, and a lone `!` into its word.
fn join_words(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '!' => out.push_str("never"),
            c if c.is_ascii_alphanumeric() || KEPT.contains(c) => out.push(c),
            _ => out.push('_'),
        }
    }
    out
}

/// Keeps a name within [`NAME_MAX`] without making two alike.
fn shorten(name: String) -> String {
    // Room for the number that `unique` may have to add.
    const ROOM: usize = 8;
    if name.len() <= NAME_MAX - ROOM {
        return name;
    }
    let tail = format!("~{:016x}", hash(name.as_bytes()));
    let mut short = name;
    short.truncate(NAME_MAX - ROOM - tail.len());
    short.push_str(&tail);
    short
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Makes names unique: of those alike, the one whose `raw` (mangled) name sorts first keeps the bare
/// name, the others get `.1`, `.2`, ….
///
/// Takes (raw, tidy) pairs and gives the final names in the same order. Pairs that are equal in both
/// are taken for two local symbols and numbered in the order given.
pub fn unique(pairs: &[(&str, &str)]) -> Vec<String> {
    let mut alike: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, (_, name)) in pairs.iter().enumerate() {
        alike.entry(name).or_default().push(i);
    }
    let mut taken: BTreeSet<String> = alike.keys().map(|name| name.to_string()).collect();
    let mut out: Vec<String> = pairs.iter().map(|(_, name)| name.to_string()).collect();
    for (name, mut members) in alike {
        members.sort_by_key(|i| (pairs[*i].0, *i));
        let mut number = 0;
        for i in members.into_iter().skip(1) {
            // `name.1` may be the real name of something else.
            out[i] = loop {
                number += 1;
                let numbered = format!("{name}.{number}");
                if taken.insert(numbered.clone()) {
                    break numbered;
                }
            };
        }
    }
    out
}
