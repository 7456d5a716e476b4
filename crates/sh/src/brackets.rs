//! Finds where a substitution ends, without parsing what is in it.
//!
//! `$(` ends at the bracket that closes it, and what is between may hold brackets that do not count: in quotes,
//! in comments, in other substitutions, and behind the patterns of a `case`. A stack of what is open does for
//! all but the last; for that one the scanner has to know where a command could start, since only there is the
//! word `case` more than a word:
//!
//! ```text
//!   echo $(case $x in a) echo "(";; esac; echo case)
//!           ▲         ▲   │               │        ▲
//!           │         │   └ in quotes     └ no command starts here
//!           └ one more└ closes a pattern, as long as a case is open    └ closes the substitution
//! ```

use alloc::{borrow::ToOwned, vec::Vec};

use crate::lexer::ParseError;
use crate::limits::MAX_NESTING;

/// Something that is open.
struct Open {
    /// What closes it: `)`, `}` or `"`.
    close: u8,
    /// The `case`s in it that are open.
    cases: usize,
    /// Could a command start here?
    command: bool,
}

impl Open {
    fn new(close: u8) -> Self {
        Self { close, cases: 0, command: true }
    }
}

/// The length of the text before the `)` that closes a command substitution; `None` if it does not close.
pub(crate) fn closing(text: &str) -> Result<Option<usize>, ParseError> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let find = |at: usize, what: char| text.get(at..).and_then(|rest| rest.find(what));
    let mut stack: Vec<Open> = Vec::new();
    let mut open = Open::new(b')');
    let mut at = 0;
    while at < bytes.len() {
        let here = byte(at);
        let word_start = at == 0 || is_separator(byte(at - 1));
        let mut opened = None;
        match (here, open.close) {
            (b'\\', _) => at += 1,
            (b')', b')') if open.cases > 0 => open.command = true,
            (b, close) if b == close => match stack.pop() {
                Some(outer) => {
                    open = outer;
                    open.command = false;
                }
                None => return Ok(Some(at)),
            },
            (b'$', _) if matches!(byte(at + 1), b'(' | b'{') => {
                at += 1;
                opened = Some(if byte(at) == b'(' { b')' } else { b'}' });
            }
            (b'\'', b')' | b'}') => {
                let Some(len) = find(at + 1, '\'') else { return Ok(None) };
                at += len + 1;
                open.command = false;
            }
            (b'"', b')' | b'}') => opened = Some(b'"'),
            // The bracket in front of a pattern has its partner counted as the end of the pattern.
            (b'(', b')') if open.cases > 0 && open.command => {}
            (b'(', b')') => opened = Some(b')'),
            // The end of a comment stays in place: it also ends the command.
            (b'#', b')') if word_start => {
                let Some(len) = find(at, '\n') else { return Ok(None) };
                at += len - 1;
            }
            (b';' | b'&' | b'|' | b'\n', b')') => open.command = true,
            (b' ' | b'\t', _) => {}
            (_, b')') if word_start => {
                let len = bytes.iter().skip(at).take_while(|b| !is_separator(**b)).count();
                let word = text.get(at..at + len).unwrap_or_default();
                let (cases, command) = match word {
                    "case" if open.command => (open.cases + 1, false),
                    "esac" if open.command => (open.cases.saturating_sub(1), false),
                    "in" => (open.cases, open.cases > 0),
                    "if" | "then" | "else" | "elif" | "while" | "until" | "do" | "!" | "{" => {
                        (open.cases, open.command)
                    }
                    _ => (open.cases, false),
                };
                if command || cases != open.cases {
                    // A word that means something is plain: nothing in it is to be looked at.
                    at += len - 1;
                }
                (open.cases, open.command) = (cases, command);
            }
            (_, b')') => open.command = false,
            _ => {}
        }
        if let Some(close) = opened {
            if stack.len() >= MAX_NESTING {
                return Err(ParseError::Syntax("substitutions nested too deeply".to_owned()));
            }
            stack.push(core::mem::replace(&mut open, Open::new(close)));
        }
        at += 1;
    }
    Ok(None)
}

/// Does a word end or start next to this?
fn is_separator(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' | b'`')
}

/// The length of the text before the `))` that closes an arithmetic expansion; `None` if the brackets turn out
/// to be those of a subshell in a command substitution.
pub(crate) fn arith_closing(text: &str) -> Result<Option<usize>, ParseError> {
    let mut open = 0usize;
    for (at, b) in text.bytes().enumerate() {
        match b {
            b'(' => open += 1,
            b')' if open > 0 => open -= 1,
            b')' => return Ok((text.as_bytes().get(at + 1) == Some(&b')')).then_some(at)),
            _ => {}
        }
    }
    Err(ParseError::Incomplete("missing '))'"))
}

#[cfg(test)]
mod tests {
    use super::closing;

    #[test]
    fn ends() {
        for text in [
            "",
            "echo a",
            "echo (a)",
            "echo \")\" ')' \\)",
            "echo $(echo $(b)) ${x:-)}",
            "echo \"$(echo \")\")\"",
            "echo a # comment )\n",
            "echo a#b",
            "case x in a) b;; esac",
            "case x in (a) b;; (c|d) e;; esac",
            "case $(echo x) in a) (b);; esac; echo (c)",
            "if case x in a) b;; esac; then c; fi",
            "case x in a) case y in b) c;; esac;; d) e;; esac",
            "for i in case esac; do echo $i; done",
            "echo case; echo esac",
            "case x in esac",
            "case a in\n b)\n c\n ;;\n esac\n",
            "! case a in b) c;; esac",
            "{ case a in b) c;; esac; }",
            "a | case a in b) c;; esac",
        ] {
            let whole = [text, ") rest"].concat();
            assert_eq!(closing(&whole), Ok(Some(text.len())), "{text}");
        }
    }

    #[test]
    fn does_not_end() {
        for text in ["echo (a)", "echo ')", "echo \")", "case x in a) b", "echo # )", "echo ${x:-)"] {
            assert_eq!(closing(text), Ok(None), "{text}");
        }
    }
}
