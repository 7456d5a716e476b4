//! `test` and `[`.
//!
//! ```text
//!   or      and [-o or]                primary   ( or )
//!   and     not [-a and]                         A = B, A -lt B, …
//!   not     ! not | primary                      -f A, -n A, …      A (is it not empty?)
//! ```
//!
//! What looks like a binary operator between two arguments is one, before anything else is tried: so
//! `[ "$x" = "$y" ]` is right whatever the variables hold.

use core::cmp::Ordering;

use super::Program;
use crate::ctx::Ctx;
use crate::limits::MAX_TEST_NESTING;
use crate::sys::{FileKind, Stat};

/// The table.
pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "[", usage: "EXPRESSION ]", help: "test files, texts and numbers", main: bracket },
    Program { name: "test", usage: "EXPRESSION", help: "test files, texts and numbers", main: test },
];

const BINARY: &[&str] =
    &["=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"];

/// Exit status when the expression is none.
const TROUBLE: i32 = 2;

fn bracket(ctx: &mut Ctx, args: &[&str]) -> i32 {
    match args.split_last() {
        Some((&"]", expression)) => test(ctx, expression),
        _ => {
            ctx.complain(format_args!("missing ]"));
            TROUBLE
        }
    }
}

fn test(ctx: &mut Ctx, args: &[&str]) -> i32 {
    if args.is_empty() {
        return 1;
    }
    let mut parser = Parser { ctx, args, depth: 0 };
    let result = parser.or();
    let rest = parser.args;
    match (result, rest.first()) {
        (Ok(value), None) => i32::from(!value),
        (Ok(_), Some(extra)) => {
            ctx.complain(format_args!("{extra}: unexpected operator"));
            TROUBLE
        }
        (Err(Wrong::Number(text)), _) => {
            ctx.complain(format_args!("{text}: bad number"));
            TROUBLE
        }
        (Err(Wrong::Missing), _) => {
            ctx.complain(format_args!("argument expected"));
            TROUBLE
        }
        (Err(Wrong::Deep), _) => {
            ctx.complain(format_args!("nested too deeply"));
            TROUBLE
        }
    }
}

enum Wrong<'a> {
    Number(&'a str),
    Missing,
    Deep,
}

struct Parser<'a, 'c> {
    ctx: &'c Ctx,
    args: &'a [&'a str],
    depth: usize,
}

impl<'a> Parser<'a, '_> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.args.first() == Some(&word);
        if found {
            self.next();
        }
        found
    }

    fn or(&mut self) -> Result<bool, Wrong<'a>> {
        let mut value = self.and()?;
        while self.eat("-o") {
            value |= self.and()?;
        }
        Ok(value)
    }

    fn and(&mut self) -> Result<bool, Wrong<'a>> {
        let mut value = self.not()?;
        while self.eat("-a") {
            value &= self.not()?;
        }
        Ok(value)
    }

    fn not(&mut self) -> Result<bool, Wrong<'a>> {
        let mut negated = false;
        while self.args.first() == Some(&"!") && self.args.len() > 1 && !self.binary_next() {
            self.next();
            negated = !negated;
        }
        Ok(self.primary()? != negated)
    }

    fn binary_next(&self) -> bool {
        self.args.len() >= 3 && self.args.get(1).is_some_and(|op| BINARY.contains(op))
    }

    fn primary(&mut self) -> Result<bool, Wrong<'a>> {
        if self.binary_next()
            && let [left, op, right, rest @ ..] = self.args
        {
            self.args = rest;
            return self.binary(left, op, right);
        }
        let Some(first) = self.next() else { return Err(Wrong::Missing) };
        if first == "(" && !self.args.is_empty() {
            self.depth += 1;
            if self.depth > MAX_TEST_NESTING {
                return Err(Wrong::Deep);
            }
            let value = self.or()?;
            self.depth -= 1;
            return if self.eat(")") { Ok(value) } else { Err(Wrong::Missing) };
        }
        match first.strip_prefix('-').filter(|letter| letter.chars().count() == 1) {
            // Without an argument behind it, it is a text like any other.
            Some(letter) if "bcdefghknprstuwxzLOGS".contains(letter) && !self.args.is_empty() => {
                let Some(arg) = self.next() else { return Err(Wrong::Missing) };
                self.unary(letter, arg)
            }
            _ => Ok(!first.is_empty()),
        }
    }

    fn unary(&self, letter: &str, arg: &'a str) -> Result<bool, Wrong<'a>> {
        let stat = |check: fn(&Stat) -> bool| {
            !arg.is_empty() && self.ctx.sys.stat(&self.ctx.path(arg)).is_ok_and(|s| check(&s))
        };
        let link = || {
            let stat = self.ctx.sys.lstat(&self.ctx.path(arg));
            !arg.is_empty() && stat.is_ok_and(|s| s.kind == FileKind::Symlink)
        };
        Ok(match letter {
            "n" => !arg.is_empty(),
            "z" => arg.is_empty(),
            "e" => stat(|_| true),
            "f" => stat(|s| s.kind == FileKind::File),
            "d" => stat(|s| s.kind == FileKind::Dir),
            "c" => stat(|s| s.kind == FileKind::Char),
            "b" => stat(|s| s.kind == FileKind::Block),
            "p" => stat(|s| s.kind == FileKind::Fifo),
            "h" | "L" => link(),
            "s" => stat(|s| s.size > 0),
            "r" => stat(|s| s.mode & 0o444 != 0),
            "w" => stat(|s| s.mode & 0o222 != 0),
            "x" => stat(|s| s.mode & 0o111 != 0),
            "t" => match arg {
                "0" => self.ctx.stdin.is_terminal(),
                "1" => self.ctx.stdout.is_terminal(),
                "2" => self.ctx.stderr.is_terminal(),
                _ => return number(arg).map(|_| false),
            },
            _ => stat(|_| true),
        })
    }

    fn binary(&self, left: &'a str, op: &str, right: &'a str) -> Result<bool, Wrong<'a>> {
        let stat = |path: &str| self.ctx.sys.stat(&self.ctx.path(path)).ok();
        let numbers = || Ok(number(left)?.cmp(&number(right)?));
        Ok(match op {
            "=" | "==" => left == right,
            "!=" => left != right,
            "<" => left < right,
            ">" => left > right,
            "-eq" => numbers()?.is_eq(),
            "-ne" => numbers()?.is_ne(),
            "-lt" => numbers()?.is_lt(),
            "-le" => numbers()?.is_le(),
            "-gt" => numbers()?.is_gt(),
            "-ge" => numbers()?.is_ge(),
            "-ef" => stat(left).is_some() && self.ctx.path(left) == self.ctx.path(right),
            _ => {
                let time = |path| stat(path).map(|s| s.mtime_s);
                let wanted = if op == "-nt" { Ordering::Greater } else { Ordering::Less };
                time(left).cmp(&time(right)) == wanted
            }
        })
    }
}

fn number(text: &str) -> Result<i64, Wrong<'_>> {
    text.trim().parse().map_err(|_| Wrong::Number(text))
}
