//! What changes from run to run and is therefore not compared.
//!
//! Both the expected and the actual text go through the same masks, so that a transcript can be pasted
//! from a terminal as it stands.
//!
//! | what | before | after |
//! |---|---|---|
//! | kernel addresses | `0xffff800080012344`, `ffff800080012344` | `<addr>` |
//! | time of a record | `     1.234567:` | ` <time>:` |
//! | time of a log line | `[    1.234567]` | `[<time>]` |
//! | CPU, task and time of a call in a graph | ` 1)  sh-12  \| + 12.345 us   \|` | ` <cpu>) sh-<pid> \| <us> \|` |
//! | task and CPU of a record | `              sh-12      [003]` | `sh-<pid> [<cpu>]` |
//!
//! Small numbers such as `a=0x28` and offsets such as `+0x8` stay.

use regex::Regex;

/// A list of patterns and what replaces them.
#[derive(Clone, Debug)]
pub struct Masks {
    rules: Vec<(Regex, String)>,
}

/// The masks that every comparison has.
const ALWAYS: &[(&str, &str)] = &[
    (r"\b(0x)?ffff[0-9a-f]{12}\b", "<addr>"),
    (r"^ *(\S[^\[\]]{0,15}?)-[0-9]+ +\[[0-9]{3}\]", "$1-<pid> [<cpu>]"),
    (r" +[0-9]+\.[0-9]{6}:", " <time>:"),
    (r"\[ *[0-9]+\.[0-9]{6}\]", "[<time>]"),
    (r"^ +[0-9]+\) ", " <cpu>) "),
    (r"(<cpu>\)) +(\S+?)-[0-9]+ +\|", "$1 $2-<pid> |"),
    (r"(<cpu>\)(?: \S+-<pid> \|)?) +(?:[+!#*@$] +)?[0-9]+(?:\.[0-9]+)? us +\|", "$1 <us> |"),
];

impl Default for Masks {
    fn default() -> Self {
        let mut masks = Self { rules: Vec::new() };
        for (pattern, to) in ALWAYS {
            masks.add(pattern, to).unwrap_or_else(|e| unreachable!("a mask of ours: {e}"));
        }
        masks
    }
}

impl Masks {
    /// Adds a mask of a case's own; `to` may name groups of the pattern.
    pub fn add(&mut self, pattern: &str, to: &str) -> Result<(), regex::Error> {
        self.rules.push((Regex::new(pattern)?, to.to_owned()));
        Ok(())
    }

    /// One line with everything masked; blanks at its end do not count.
    pub fn apply(&self, line: &str) -> String {
        let mut line = line.trim_end().to_owned();
        for (pattern, to) in &self.rules {
            line = pattern.replace_all(&line, to).into_owned();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_masked() {
        let masks = Masks::default();
        for (line, masked) in [
            (
                "              sh-12      [003] .....     1.234567: first: (work_add+0x8/0x10) a=0x2 b=0x28",
                "sh-<pid> [<cpu>] ..... <time>: first: (work_add+0x8/0x10) a=0x2 b=0x28",
            ),
            ("ffff800080012344 t task::schedule", "<addr> t task::schedule"),
            ("pc : 0xffff800080012344  ", "pc : <addr>"),
            ("[    1.234567] Trapline", "[<time>] Trapline"),
            ("a=0xff9c", "a=0xff9c"),
            ("12345678ffff800080012344 no word", "12345678ffff800080012344 no word"),
            (" 1) + 94.704 us   |    work_fib();", " <cpu>) <us> |    work_fib();"),
            (" 1)   0.704 us    |  }", " <cpu>) <us> |  }"),
            (" 0)               |  work_fib() {", " <cpu>)               |  work_fib() {"),
            (" 1)      sh-8      | $ 12345678 us |  }", " <cpu>) sh-<pid> | <us> |  }"),
            ("kworker/0:1-34   [000] d..1. 12.000001: x", "kworker/0:1-<pid> [<cpu>] d..1. <time>: x"),
        ] {
            assert_eq!(masks.apply(line), masked);
        }
    }

    /// A masked text is masked already: transcripts may be written with the marks in them.
    #[test]
    fn masking_twice_changes_nothing() {
        let masks = Masks::default();
        for line in [
            "  sh-12  [003] .....  1.234567: x: 0xffff800080012344",
            "[ 1.000000] a-b [1]",
            " 1)  sh-8  | + 1.0 us |  }",
        ] {
            assert_eq!(masks.apply(&masks.apply(line)), masks.apply(line));
        }
    }

    #[test]
    fn a_case_can_add_its_own() {
        let mut masks = Masks::default();
        masks.add("took [0-9]+ ns", "took <n> ns").unwrap();
        assert_eq!(masks.apply("it took 17 ns"), "it took <n> ns");
        assert!(masks.add("(", "").is_err());
    }
}
