//! The heads of constructs that have more in them than lists: `for`, `case`, functions; and redirections.

use alloc::{format, string::String, vec::Vec};

use super::{Expect, Kind, Parsed, Parser, syntax};
use crate::code::{Op, Part, Redirect, RedirectKind, Simple, Word, is_name};
use crate::lexer::{ParseError, Token};
use crate::limits::MAX_FIELDS;

impl Parser<'_> {
    /// `for NAME [in WORD...]; do`
    pub(super) fn open_for(&mut self) -> Parsed<Expect> {
        let name = match self.lexer.next()? {
            Token::Word(word) => match word.literal() {
                Some(name) if is_name(name) => String::from(name),
                _ => return syntax("bad for loop variable".into()),
            },
            Token::End => return Err(ParseError::Incomplete("unexpected end of file")),
            _ => return syntax("bad for loop variable".into()),
        };
        self.newlines()?;
        let mut words = None;
        match self.lexer.next()? {
            Token::Word(word) if word.literal() == Some("in") => {
                words = Some(self.for_words()?);
                self.newlines()?;
                self.expect_word("do")?;
            }
            Token::Op(";") => {
                self.newlines()?;
                self.expect_word("do")?;
            }
            Token::Word(word) if word.literal() == Some("do") => {}
            Token::End => return Err(ParseError::Incomplete("unexpected end of file (expecting \"do\")")),
            other => return self.unexpected(&other),
        }
        let front = self.emit(Op::Nop);
        let open = self.emit(Op::For { words, exit: 0 });
        let leave = self.emit(Op::Next { name, done: 0 });
        self.open(Kind::Do { leave, start: leave, open }, front)?;
        Ok(Expect::Item)
    }

    /// The words of a `for` up to the end of their line.
    fn for_words(&mut self) -> Parsed<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            match self.lexer.next()? {
                Token::Word(word) if words.len() < MAX_FIELDS => words.push(word),
                Token::Op(";") | Token::Newline => return Ok(words),
                Token::End => {
                    return Err(ParseError::Incomplete("unexpected end of file (expecting \"do\")"));
                }
                other => return self.unexpected(&other),
            }
        }
    }

    /// `case WORD in` up to the bracket behind the first pattern.
    pub(super) fn open_case(&mut self) -> Parsed<Expect> {
        let word = match self.lexer.next()? {
            Token::Word(word) => word,
            Token::End => return Err(ParseError::Incomplete("unexpected end of file")),
            other => return self.unexpected(&other),
        };
        self.newlines()?;
        self.expect_word("in")?;
        let front = self.emit(Op::Nop);
        let open = self.emit(Op::Case(word));
        self.open(Kind::Arm { arm: usize::MAX, open }, front)?;
        self.arm()
    }

    /// `PATTERN|PATTERN)`, or `esac`.
    fn arm(&mut self) -> Parsed<Expect> {
        self.newlines()?;
        let Kind::Arm { open, .. } = self.level.kind else { return syntax("unexpected \";;\"".into()) };
        let mut patterns = Vec::new();
        let mut bracket = false;
        loop {
            match self.lexer.next()? {
                Token::Op("(") if patterns.is_empty() && !bracket => bracket = true,
                Token::Word(word) if patterns.is_empty() && !bracket && word.literal() == Some("esac") => {
                    self.emit(Op::Succeed);
                    return self.close_case();
                }
                Token::Word(word) if patterns.len() < MAX_FIELDS => patterns.push(word),
                Token::End => {
                    return Err(ParseError::Incomplete("unexpected end of file (expecting \"esac\")"));
                }
                other => return self.unexpected(&other),
            }
            if patterns.is_empty() {
                continue;
            }
            match self.lexer.next()? {
                Token::Op("|") => {}
                Token::Op(")") => break,
                Token::End => return Err(ParseError::Incomplete("unexpected end of file (expecting \")\")")),
                other => return self.unexpected(&other),
            }
        }
        let arm = self.emit(Op::Arm { patterns, next: 0 });
        self.level.kind = Kind::Arm { arm, open };
        self.start_list();
        Ok(Expect::Item)
    }

    /// Ends the body of an arm: on to the end of the `case`.
    pub(super) fn end_arm_body(&mut self) {
        if !self.level.filled {
            self.emit(Op::Succeed);
        }
        let jump = self.emit(Op::Jump(0));
        self.level.ends.push(jump);
        if let Kind::Arm { arm, .. } = self.level.kind {
            self.lead_here(&[arm]);
        }
    }

    /// `;;`
    pub(super) fn end_arm(&mut self) -> Parsed<Expect> {
        self.end_arm_body();
        self.arm()
    }

    /// `esac`: all branches meet before the operation that closes it.
    pub(super) fn close_case(&mut self) -> Parsed<Expect> {
        let ends = core::mem::take(&mut self.level.ends);
        self.lead_here(&ends);
        self.emit(Op::Esac);
        self.end_compound()
    }

    /// `NAME() {` or `NAME() (`
    pub(super) fn function(&mut self, head: &Simple) -> Parsed<Expect> {
        let name = match head.words.as_slice() {
            [word] if head.assignments.is_empty() && head.redirects.is_empty() => word.literal(),
            _ => None,
        };
        let Some(name) = name.filter(|name| is_name(name)) else {
            return self.unexpected(&Token::Op("("));
        };
        self.lexer.next()?;
        match self.lexer.next()? {
            Token::Op(")") => {}
            Token::End => return Err(ParseError::Incomplete("unexpected end of file")),
            other => return self.unexpected(&other),
        }
        self.newlines()?;
        let define = self.emit(Op::Define { name: name.into(), end: 0 });
        let front = self.emit(Op::Nop);
        if *self.lexer.peek()? == Token::Op("(") {
            self.lexer.next()?;
            let start = self.emit(Op::Nop);
            self.open(Kind::Paren { start, define: Some(define) }, front)?;
        } else {
            self.expect_word("{")?;
            self.open(Kind::Brace { define: Some(define) }, front)?;
        }
        Ok(Expect::Item)
    }

    // --- redirections ------------------------------------------------------------------------------

    pub(super) fn redirect(&mut self, token: &Token) -> Parsed<Redirect> {
        match *token {
            Token::Redirect { fd, kind } => match self.lexer.next()? {
                Token::Word(target) => Ok(Redirect { fd, kind, target }),
                other => self.unexpected(&other),
            },
            // The word is filled in when the text has been reached; until then it carries the slot.
            Token::Here { fd, slot } => {
                Ok(Redirect { fd, kind: RedirectKind::Here, target: Word::quoted(format!("{slot}")) })
            }
            _ => self.unexpected(token),
        }
    }

    pub(super) fn trailing_redirects(&mut self) -> Parsed<Vec<Redirect>> {
        let mut redirects = Vec::new();
        while matches!(self.lexer.peek()?, Token::Redirect { .. } | Token::Here { .. }) {
            let token = self.lexer.next()?;
            redirects.push(self.redirect(&token)?);
            if redirects.len() > MAX_FIELDS {
                return syntax("too many words".into());
            }
        }
        Ok(redirects)
    }

    /// Remembers that the operation at `at` has a here-document.
    pub(super) fn note_here(&mut self, redirects: &[Redirect], at: usize) {
        if redirects.iter().any(|r| r.kind == RedirectKind::Here) {
            self.here.push(at);
        }
    }

    /// At the end all texts of here-documents are there.
    pub(super) fn fill_here_documents(&mut self) {
        for at in core::mem::take(&mut self.here) {
            let redirects = match self.ops.get_mut(at) {
                Some(Op::Simple(simple)) => &mut simple.redirects,
                Some(Op::Redirect { redirects, .. }) => redirects,
                _ => continue,
            };
            for redirect in redirects.iter_mut().filter(|r| r.kind == RedirectKind::Here) {
                let slot = match redirect.target.parts.as_slice() {
                    [Part::Quoted(slot)] => slot.parse::<usize>().ok(),
                    _ => None,
                };
                if let Some(text) = slot.and_then(|slot| self.lexer.here.get_mut(slot)).and_then(Option::take)
                {
                    redirect.target = text;
                }
            }
        }
    }
}
